using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Limiting;

namespace SecureMessaging.Server.Platform;

/// <summary>Bounds what one address, or all together, can hold open. Addresses are counted in memory for as long as their connections last, and nowhere else.</summary>
internal sealed class ConnectionLimits(IOptions<ServerOptions> server) : IConfigureOptions<KestrelServerOptions>
{
    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private readonly ConcurrentDictionary<Guid, int> open = new();

    public void Configure(KestrelServerOptions options)
    {
        options.Limits.RequestHeadersTimeout = HeadersTimeout;
        options.Limits.MaxConcurrentConnections = server.Value.MaxConnections;
        options.Limits.MaxConcurrentUpgradedConnections = server.Value.MaxConnections;
        options.ConfigureEndpointDefaults(listen => listen.Use(next => connection => CountAsync(connection, next)));
    }

    private async Task CountAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.RemoteEndPoint is not IPEndPoint peer)
        {
            await next(connection);
            return;
        }

        var address = ClientAddress.Of(peer.Address);
        try
        {
            if (open.AddOrUpdate(address, 1, static (_, count) => count + 1) <= server.Value.MaxConnectionsPerAddress)
                await next(connection);
            else
                connection.Abort(new ConnectionAbortedException("Too many connections from one address."));
        }
        finally
        {
            var left = open.AddOrUpdate(address, 0, static (_, count) => count - 1);
            if (left == 0)
                open.TryRemove(KeyValuePair.Create(address, 0));
        }
    }
}
