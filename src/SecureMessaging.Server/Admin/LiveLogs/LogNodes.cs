using System.Text.Json;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>
/// The hub whose clients are the nodes. It has no URL: it exists to use SignalR's stock Redis backplane between nodes. The connections of administrators do not
/// use that backplane, because it sends a client everything that arrives from Redis, and a node must first decrypt the lines.
/// </summary>
internal sealed class LogNodes : Hub
{
    /// <summary>The group of all nodes.</summary>
    public const string All = "nodes";
}

/// <summary>This node as a client of <see cref="LogNodes"/>: it passes the messages of the backplane on.</summary>
internal sealed partial class NodeInbox(Guid node, Action<string, byte[]> receive, ILogger logger)
    : HubConnectionContext(new DefaultConnectionContext(node.ToString()), new HubConnectionContextOptions(), NullLoggerFactory.Instance)
{
    private static readonly JsonHubProtocol Json = new();

    public override ValueTask WriteAsync(SerializedHubMessage message, CancellationToken cancellationToken = default)
    {
        try
        {
            // Without the character that ends a message of the JSON protocol.
            var json = message.GetSerializedMessage(Json).Span[..^1];
            var invocation = JsonSerializer.Deserialize<Invocation>(json, Wire.Json);
            receive(invocation!.Target, invocation.Arguments[0]);
        }
        catch (Exception exception)
        {
            // An attacker with write access to Redis chooses what arrives here.
            Unreadable(logger, exception.GetType().Name);
        }

        return ValueTask.CompletedTask;
    }

    [LoggerMessage(6104, LogLevel.Debug, "A message of the backplane cannot be read ({ExceptionType})")]
    private static partial void Unreadable(ILogger logger, string exceptionType);

    private sealed record Invocation(string Target, byte[][] Arguments);
}
