using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// Operations of an administrator of the server. Every method throws <see cref="SecureMessagingException"/>, for other callers with
/// <see cref="ErrorCode.Forbidden"/>.
/// </summary>
public sealed class AdminApi
{
    private readonly Rest rest;
    private readonly LogFollower logs;

    internal AdminApi(Rest rest, LogFollower logs) => (this.rest, this.logs) = (rest, logs);

    /// <summary>Counts only.</summary>
    public Task<AdminStats> GetStatsAsync(CancellationToken cancellationToken = default) =>
        rest.SendAsync<AdminStats>(HttpMethod.Get, "v1/admin/stats", null, cancellationToken);

    /// <summary>Ends all sessions of an account and prevents sign-in.</summary>
    public Task DisableUserAsync(string username, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Post, $"v1/admin/users/{Uri.EscapeDataString(username)}/disable", null, cancellationToken);

    /// <summary>Allows sign-in to the account again.</summary>
    public Task EnableUserAsync(string username, CancellationToken cancellationToken = default) =>
        rest.SendAsync(HttpMethod.Post, $"v1/admin/users/{Uri.EscapeDataString(username)}/enable", null, cancellationToken);

    /// <summary>
    /// The logs of all nodes as they are written, without end. The stream reconnects by itself. In the place of missing lines
    /// it has a line with the event <c>LinesMissed</c> (there was no connection) or <c>LinesDropped</c> (the reader was too slow).
    /// </summary>
    /// <param name="filter">Which lines the server sends.</param>
    /// <param name="connected">Called when the connection opens and when it is lost. Return soon.</param>
    /// <param name="cancellationToken">Ends the stream.</param>
    public IAsyncEnumerable<LogLine> FollowLogsAsync(LogFilter filter, Action<bool>? connected = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        return logs.FollowAsync(filter, connected ?? (_ => { }), cancellationToken);
    }
}
