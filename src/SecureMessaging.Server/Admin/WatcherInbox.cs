using System.Text.Json;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Admin;

/// <summary>
/// What SignalR's Redis manager takes for the connection of a watcher. The manager would keep everything for a connection that takes nothing; here the other
/// nodes' lines go into the watcher's own queue, which is bounded and counts what it drops.
/// </summary>
internal sealed class WatcherInbox(LogWatcher watcher)
    : HubConnectionContext(new DefaultConnectionContext(watcher.Id), new HubConnectionContextOptions(), NullLoggerFactory.Instance)
{
    public override ValueTask WriteAsync(SerializedHubMessage message, CancellationToken cancellationToken = default)
    {
        try
        {
            // Without the character that ends a message of the JSON protocol.
            var json = message.GetSerializedMessage(watcher.Protocol).Span[..^1];
            foreach (var line in JsonSerializer.Deserialize<Invocation>(json, Wire.Json)?.Arguments.SelectMany(lines => lines) ?? [])
                watcher.Offer(line);
        }
        catch (JsonException)
        {
            // From a node of another version.
        }

        return ValueTask.CompletedTask;
    }

    private sealed record Invocation(LogLine[][] Arguments);
}
