using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>Bounds open connections in total and per address. An address is counted in memory while its connections last, and nowhere else.</summary>
internal sealed partial class ConnectionLimits(IOptions<ServerOptions> server, ILogger<ConnectionLimits> logger) : IConfigureOptions<KestrelServerOptions>
{
    /// <summary>Open files that are not connections: database, logs, assemblies that load later, and connections in rejection.</summary>
    private const int Reserve = 512;

    private const int Least = 16;

    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<Guid, int> open = new();
    private int most = server.Value.MaxConnections;
    private int total;

    public void Configure(KestrelServerOptions options)
    {
        // Any client can open connections, and the runtime ends a process that has no file left.
        if (OpenFiles.Limit() is { } files && Math.Max(Least, files - OpenFiles.Count() - Reserve) is var left && left < most)
        {
            most = left;
            Bounded(logger, left);
        }

        options.Limits.RequestHeadersTimeout = HeadersTimeout;
        options.ConfigureEndpointDefaults(listen => listen.Use(next => connection => CountAsync(connection, next)));
    }

    private async Task CountAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        // A Unix socket has no address: its peer is the operator's proxy.
        var peer = connection.RemoteEndPoint as IPEndPoint;
        var address = ClientAddress.Of(peer?.Address);
        var all = Interlocked.Increment(ref total);
        var ofAddress = open.AddOrUpdate(address, 1, static (_, count) => count + 1);
        try
        {
            if (all > most)
                connection.Abort(new ConnectionAbortedException("Too many connections."));
            else if (peer is not null && ofAddress > server.Value.MaxConnectionsPerAddress)
                connection.Abort(new ConnectionAbortedException("Too many connections from one address."));
            else
                await next(connection);
        }
        finally
        {
            Interlocked.Decrement(ref total);
            var left = open.AddOrUpdate(address, 0, static (_, count) => count - 1);
            if (left == 0)
                open.TryRemove(KeyValuePair.Create(address, 0));
        }
    }

    [LoggerMessage(
        1016, LogLevel.Information,
        "The server accepts up to {Count} connections, because of the process's limit of open files (ulimit -n, LimitNOFILE)")]
    private static partial void Bounded(ILogger logger, int count);
}
