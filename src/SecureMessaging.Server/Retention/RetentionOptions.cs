using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Retention;

/// <summary>How long what need not stay may stay. Section <c>Retention</c>.</summary>
internal sealed class RetentionOptions
{
    public const string Section = "Retention";

    /// <summary>Time between two runs of the job.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan Period { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long the record of a session stays after its end.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    public TimeSpan EndedSessions { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Devices that have not been there for this long are revoked, and the rooms of their users are asked to remove them.</summary>
    [Range(typeof(TimeSpan), "7.00:00:00", "3650.00:00:00")]
    public TimeSpan UnseenDevices { get; set; } = TimeSpan.FromDays(90);

    /// <summary>How long a Welcome waits for its device.</summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "3650.00:00:00")]
    public TimeSpan Welcomes { get; set; } = TimeSpan.FromDays(90);

    /// <summary>Rows in one transaction, so that purging never holds locks for long.</summary>
    [Range(1, 100_000)]
    public int BatchLength { get; set; } = 1000;
}
