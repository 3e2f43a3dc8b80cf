using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>What an administrator of the server may do. Every method throws <see cref="SecureMessagingException"/>; for others with <see cref="ErrorCode.Forbidden"/>.</summary>
public sealed class AdminApi
{
    private readonly Rest _rest;
    private readonly LogFollower _logs;

    internal AdminApi(Rest rest, LogFollower logs) => (_rest, _logs) = (rest, logs);

    /// <summary>Counts, and nothing that would name anybody.</summary>
    public Task<AdminStats> GetStatsAsync(CancellationToken cancellationToken = default) =>
        _rest.SendAsync<AdminStats>(HttpMethod.Get, "v1/admin/stats", null, cancellationToken);

    /// <summary>Ends all sessions of an account and lets nobody sign in to it.</summary>
    public Task DisableUserAsync(string username, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Post, $"v1/admin/users/{Uri.EscapeDataString(username)}/disable", null, cancellationToken);

    /// <summary>Lets the account be signed in to again.</summary>
    public Task EnableUserAsync(string username, CancellationToken cancellationToken = default) =>
        _rest.SendAsync(HttpMethod.Post, $"v1/admin/users/{Uri.EscapeDataString(username)}/enable", null, cancellationToken);

    /// <summary>
    /// The logs of all nodes as they are written, without an end. Reconnects by itself; where lines are missing
    /// stands a line with the event <c>LinesMissed</c> (the connection was away) or <c>LinesDropped</c> (the reader was too slow).
    /// </summary>
    /// <param name="filter">Which lines; the server sends no others.</param>
    /// <param name="connected">Told when the connection is there and when it is lost. Return soon.</param>
    /// <param name="cancellationToken">Ends the stream.</param>
    public IAsyncEnumerable<LogLine> FollowLogsAsync(LogFilter filter, Action<bool>? connected = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        return _logs.FollowAsync(filter, connected ?? (_ => { }), cancellationToken);
    }
}
