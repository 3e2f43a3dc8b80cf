namespace SecureMessaging.Server.Platform;

/// <summary>What the log of security events counts. Causes say what happened, never to whom or from where.</summary>
internal enum SecurityCause
{
    /// <summary>A wrong name or password at sign-in.</summary>
    SignInFailed,

    /// <summary>A wrong password at sign-in, for the account of an administrator.</summary>
    SignInAsAdministratorFailed,

    /// <summary>A sign-in or confirmation was refused unread, after too many failures.</summary>
    SignInSlowed,

    /// <summary>The same for the account of an administrator.</summary>
    SignInAsAdministratorSlowed,

    /// <summary>A wrong password where a signed-in person had to confirm an act.</summary>
    ConfirmationFailed,

    /// <summary>More passwords to check or hash than an account or an address may ask for, or than the server can take.</summary>
    PasswordWorkRefused,

    /// <summary>An access token that is not ours, has expired, or whose session is over.</summary>
    TokenRefused,

    /// <summary>A connection ticket that is unknown, used or expired.</summary>
    TicketRefused,

    /// <summary>A refresh token was used again after its successor: its session was ended, because there is a copy of it.</summary>
    RefreshTokenReused,

    /// <summary>A socket of a page of another origin.</summary>
    OriginRefused,

    /// <summary>An account that does not administer the server asked for what administrators may.</summary>
    AdministrationRefused,

    /// <summary>A send or upload was refused because a quota of bytes is used up.</summary>
    QuotaExceeded,
}

/// <summary>
/// The log of security events: each cause is counted and written once a minute with its count, so that a flood of failures is seen and does not flood the log.
/// What administrators do is written at once, by the features.
/// </summary>
internal sealed partial class SecurityEvents : IHostedService, IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);
    private readonly long[] counts = new long[Enum.GetValues<SecurityCause>().Length];
    private readonly ILogger logger;
    private readonly ITimer timer;

    public SecurityEvents(TimeProvider time, ILogger<SecurityEvents> logger)
    {
        this.logger = logger;
        timer = time.CreateTimer(_ => Write(), null, Period, Period);
    }

    public void Count(SecurityCause cause) => Interlocked.Increment(ref counts[(int)cause]);

    /// <summary>Writes what was counted since the last time.</summary>
    public void Write()
    {
        for (var cause = 0; cause < counts.Length; cause++)
        {
            if (Interlocked.Exchange(ref counts[cause], 0) is > 0 and var count)
                Happened(logger, (SecurityCause)cause, count);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken)
    {
        Write();
        return Task.CompletedTask;
    }

    public void Dispose() => timer.Dispose();

    [LoggerMessage(1190, LogLevel.Warning, "Security event {Cause}: {Count} within a minute")]
    private static partial void Happened(ILogger logger, SecurityCause cause, long count);
}
