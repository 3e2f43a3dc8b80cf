using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Limiting;

namespace SecureMessaging.Server.Platform;

/// <summary>Bounds what one address, or all together, can hold open. Addresses are counted in memory for as long as their connections last, and nowhere else.</summary>
internal sealed partial class ConnectionLimits(IOptions<ServerOptions> server, ILogger<ConnectionLimits> logger) : IConfigureOptions<KestrelServerOptions>
{
    /// <summary>Open files beside those of connections: the database, logs, what the runtime still loads, and connections that are about to be refused.</summary>
    private const int Reserve = 512;

    /// <summary>Of a process that may hardly open files.</summary>
    private const int Least = 16;

    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<Guid, int> open = new();
    private int most = server.Value.MaxConnections;
    private int total;

    public void Configure(KestrelServerOptions options)
    {
        // Anyone can open connections, and a process without a file left is ended by its runtime.
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
        // A socket of this machine's file system has none: whoever can reach that is the operator's proxy.
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

    [LoggerMessage(1016, LogLevel.Information, "{Count} connections are held at most: the process may open no more files (ulimit -n, LimitNOFILE)")]
    private static partial void Bounded(ILogger logger, int count);
}
