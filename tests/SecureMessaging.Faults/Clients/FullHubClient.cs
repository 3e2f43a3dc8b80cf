using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>Microsoft's SignalR client.</summary>
internal sealed class FullHubClient : IHubClient
{
    private readonly HubConnection connection;

    public FullHubClient(Uri hub, string? accessToken, HubEvents events)
    {
        connection = new HubConnectionBuilder()
            .WithUrl(hub, options =>
            {
                options.SkipNegotiation = true;
                options.Transports = HttpTransportType.WebSockets;
                options.AccessTokenProvider = () => Task.FromResult(accessToken);
            })
            .AddMessagePackProtocol(options => options.SerializerOptions = WireMessagePack.Options)
            .Build();
        connection.ServerTimeout = TimeSpan.FromSeconds(25);
        connection.HandshakeTimeout = TimeSpan.FromSeconds(5);
        connection.On<Guid, LogEntry[]>(nameof(IChatClient.Received), events.Received);
        connection.On<Guid>(nameof(IChatClient.Resync), events.Resync);
        connection.On<int>(nameof(IChatClient.Draining), events.Draining);
        connection.Closed += _ =>
        {
            events.Closed();
            return Task.CompletedTask;
        };
    }

    public Task StartAsync(CancellationToken cancellationToken) => connection.StartAsync(cancellationToken);

    public Task<T> InvokeAsync<T>(string method, object?[] arguments, CancellationToken cancellationToken) =>
        connection.InvokeCoreAsync<T>(method, arguments, cancellationToken);

    public ValueTask DisposeAsync() => connection.DisposeAsync();
}
