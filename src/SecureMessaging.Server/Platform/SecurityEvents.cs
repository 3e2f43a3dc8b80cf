namespace SecureMessaging.Server.Platform;

/// <summary>The counted security events. A cause names the event, never an account or an address.</summary>
internal enum SecurityCause
{
    SignInFailed,

    /// <summary>A wrong password at sign-in to an administrator's account.</summary>
    SignInAsAdministratorFailed,

    SignInSlowed,

    /// <summary>The same for an administrator's account.</summary>
    SignInAsAdministratorSlowed,

    ConfirmationFailed,

    /// <summary>More password checks or hashes than an account or address may request, or than the server can compute.</summary>
    PasswordWorkRefused,

    TokenRefused,

    TicketRefused,

    /// <summary>A refresh token was used after its successor. A copy exists, so the session was ended.</summary>
    RefreshTokenReused,

    OriginRefused,

    /// <summary>An account without the administrator role called an administrators' operation.</summary>
    AdministrationRefused,

    QuotaExceeded,
}

/// <summary>
/// The log of security events. Each cause is counted and written once a minute with its count: a flood of failures is visible and does not flood the
/// log. Features log administrators' actions at once.
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
