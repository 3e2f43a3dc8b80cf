using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>One connection to the hub, from its start to its end.</summary>
internal interface IHubClient : IAsyncDisposable
{
    /// <summary>Connects and shakes hands.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Calls a method of the hub. Its refusal is a <see cref="Microsoft.AspNetCore.SignalR.HubException"/>.</summary>
    Task<T> InvokeAsync<T>(string method, object?[] arguments, CancellationToken cancellationToken);
}

/// <summary>What a connection tells its owner.</summary>
/// <param name="Received">Entries of a room, in the order of their arrival.</param>
/// <param name="Resync">The room's log must be read.</param>
/// <param name="Draining">The node asks to move, in so many milliseconds.</param>
/// <param name="Closed">The connection is over.</param>
internal sealed record HubEvents(Action<Guid, LogEntry[]> Received, Action<Guid> Resync, Action<int> Draining, Action Closed);
