using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Retention;

/// <summary>How long expired data may stay. Section <c>Retention</c>.</summary>
internal sealed class RetentionOptions
{
    public const string Section = "Retention";

    /// <summary>Time between two runs of the job.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan Period { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long a session's record stays after the session ends.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    public TimeSpan EndedSessions { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Devices unseen for this long are revoked, and the rooms of their users are asked to remove them.</summary>
    [Range(typeof(TimeSpan), "7.00:00:00", "3650.00:00:00")]
    public TimeSpan UnseenDevices { get; set; } = TimeSpan.FromDays(90);

    /// <summary>How long a Welcome waits for its device.</summary>
    [Range(typeof(TimeSpan), "1.00:00:00", "3650.00:00:00")]
    public TimeSpan Welcomes { get; set; } = TimeSpan.FromDays(90);

    /// <summary>
    /// Only on Postgres: the hour (UTC) in which the job rewrites all tables once a day, because Postgres leaves deleted content in their files until then.
    /// Null: never. A table that is being rewritten cannot be read or written.
    /// </summary>
    [Range(0, 23)]
    public int? RewriteHour { get; set; }

    /// <summary>Rows per transaction: bounds how long purging holds locks.</summary>
    [Range(1, 100_000)]
    public int BatchLength { get; set; } = 1000;
}
