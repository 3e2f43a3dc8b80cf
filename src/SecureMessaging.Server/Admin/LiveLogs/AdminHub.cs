using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>The hub by which administrators watch the logs of all nodes.</summary>
[Authorize(AuthFeature.AdminPolicy)]
internal sealed class AdminHub(LogWatchers watchers) : Hub<IAdminClient>, IAdminHub
{
    private const int MaxName = 128;

    public Task Follow(LogFilter filter)
    {
        if (filter is null)
            throw ApiException.Invalid("filter must be given.", "filter");
        if (filter.Event?.Length > MaxName || filter.Node?.Length > MaxName)
        {
            throw ApiException.Invalid(
                $"A filter names an event and a node in {MaxName} characters at most.", filter.Event?.Length > MaxName ? "event" : "node");
        }

        if (Context.Items.TryGetValue(typeof(LogWatcher), out var item) && item is LogWatcher watcher)
        {
            watcher.Filter = filter;
            watchers.NoteChange();
        }

        return Task.CompletedTask;
    }

    /// <summary>The target of calls that the hub protocol could not read, as in the chat hub.</summary>
    [SuppressMessage("Performance", "CA1822", Justification = "SignalR calls no static method.")]
    public Task Malformed(FieldError[]? errors) => throw (errors is { Length: > 0 }
        ? ApiException.Invalid(errors)
        : ApiException.Invalid("The hub has one method, Follow, which takes a filter."));
}

/// <summary>SignalR's lifetime manager without a backplane, which also makes each connection a watcher. Connecting does not wait for Redis.</summary>
internal sealed class AdminLifetime(
    LogWatchers watchers, LogLines lines, TimeProvider time, ILogger<LogWatcher> failures, ILogger<DefaultHubLifetimeManager<AdminHub>> logger)
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
            watchers.Remove(watcher);
        return base.OnDisconnectedAsync(connection);
    }
}
