using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Admin;

/// <summary>The administrators' door to the live logs.</summary>
[Authorize(AuthFeature.AdminPolicy)]
internal sealed class AdminHub(LogWatchers watchers, LogBackplane backplane) : Hub<IAdminClient>, IAdminHub
{
    private const int MaxName = 128;

    public Task Follow(LogFilter filter)
    {
        if (filter is null)
            throw ApiException.Invalid("filter must be given.", "filter");
        if (filter.Event?.Length > MaxName || filter.Node?.Length > MaxName)
            throw ApiException.Invalid($"A filter names an event and a node in {MaxName} characters at most.", filter.Event?.Length > MaxName ? "event" : "node");
        if (Context.Items.TryGetValue(typeof(LogWatcher), out var item) && item is LogWatcher watcher)
        {
            watcher.Filter = filter;
            watchers.Changed();
            backplane.Announce();
        }

        return Task.CompletedTask;
    }
}

/// <summary>SignalR's own lifetime manager, which also makes each connection a watcher: nothing here needs Redis or waits for it.</summary>
internal sealed class AdminLifetime(
    LogWatchers watchers, LogBackplane backplane, LogLines lines, TimeProvider time, ILogger<LogWatcher> failures, ILogger<DefaultHubLifetimeManager<AdminHub>> logger)
    : DefaultHubLifetimeManager<AdminHub>(logger)
{
    public override async Task OnConnectedAsync(HubConnectionContext connection)
    {
        await base.OnConnectedAsync(connection);
        var watcher = new LogWatcher(connection, Caller.From(connection.User).SessionId, lines.Node, time, failures);
        connection.Items[typeof(LogWatcher)] = watcher;
        watchers.Add(watcher);
    }

    public override Task OnDisconnectedAsync(HubConnectionContext connection)
    {
        if (connection.Items.TryGetValue(typeof(LogWatcher), out var item) && item is LogWatcher watcher)
        {
            watchers.Remove(watcher);
            backplane.Forget(watcher);
        }

        return base.OnDisconnectedAsync(connection);
    }
}
