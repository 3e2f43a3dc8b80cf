using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>The hub's WebSockets on this node, from the upgrade to the close.</summary>
/// <remarks>
/// 1. The pipeline asks for origin, limits and credentials as for any request, and ends at the endpoint, which only notes that this one may come in.
/// 2. The pipeline unwinds to its very beginning. Everything that it kept while it waited would otherwise be kept for each connection: as much as all the rest.
/// 3. What was read of the request is forgotten, the socket is opened, and SignalR takes over.
/// </remarks>
internal sealed partial class HubSockets(
    HubConnectionHandler<ChatHub> hub, IHostApplicationLifetime lifetime, TimeProvider time, ServerMetrics metrics, ILogger<HubSockets> logger) : BackgroundService
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly ClaimsPrincipal Nobody = new();
    private readonly ConcurrentDictionary<HubSocket, bool> open = new();

    /// <summary>The endpoint of the hub.</summary>
    public static Task Admit(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest)
            throw ApiException.Invalid("The hub takes WebSockets alone, without negotiation: set skipNegotiation and the transport WebSockets in the SignalR client.");
        context.Features.Set(new Admission(Caller.From(context.User), context.Features.Get<IAuthenticateResultFeature>()?.AuthenticateResult?.Properties?.ExpiresUtc));
        return Task.CompletedTask;
    }

    /// <summary>The beginning of the pipeline.</summary>
    public async Task ServeAsync(HttpContext context, RequestDelegate pipeline)
    {
        await pipeline(context);
        if (context.Features.Get<Admission>() is not { } admission)
            return;
        var transport = await HubTransport.AcceptAsync(context);
        await ForgetAsync(context);
        await RunAsync(new HubSocket(transport, admission.Caller, admission.Until, context.Abort, WriteFailed));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Before the web server waits for its connections to end.
        using var closing = lifetime.ApplicationStopping.Register(() =>
        {
            foreach (var (socket, _) in open)
                Safely(socket.RequestClose);
        });
        using var timer = new PeriodicTimer(Tick);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                var now = time.GetUtcNow();
                foreach (var (socket, _) in open)
                    Safely(() => socket.Tick(now));
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }

    /// <summary>What one socket throws must not leave all others without their pings.</summary>
    private void Safely(Action work)
    {
        try
        {
            work();
        }
        catch (Exception exception)
        {
            ConnectionFailed(logger, exception);
        }
    }

    /// <summary>A client that is gone is usual; anything else is a fault of the server's, which its client sees as a reconnect.</summary>
    internal void WriteFailed(Exception exception)
    {
        metrics.HubFailed("write");
        if (exception is IOException or OperationCanceledException or ObjectDisposedException or SocketException)
            ClientGone(logger, exception.GetType().Name);
        else
            WritingFailed(logger, exception);
    }

    private async Task RunAsync(HubSocket socket)
    {
        open.TryAdd(socket, true);
        try
        {
            if (lifetime.ApplicationStopping.IsCancellationRequested)
                socket.RequestClose();
            await socket.RunAsync(hub);
        }
        catch (Exception exception)
        {
            ConnectionFailed(logger, exception);
        }
        finally
        {
            open.TryRemove(socket, out _);
        }
    }

    /// <summary>Nobody reads it any more, and it would be kept as long as the connection: headers, claims, and the services of the request.</summary>
    private static async Task ForgetAsync(HttpContext context)
    {
        if (context.Features.Get<IServiceProvidersFeature>() is IAsyncDisposable services)
            await services.DisposeAsync();
        context.Features.Set<IServiceProvidersFeature>(null);
        context.Features.Set<Admission>(null);
        context.Features.Set<IAuthenticateResultFeature>(null);
        context.User = Nobody;
        context.Request.Headers.Clear();
    }

    /// <summary>Who may come in, and till when that is proven.</summary>
    private sealed record Admission(Caller Caller, DateTimeOffset? Until);

    [LoggerMessage(4411, LogLevel.Error, "Nothing more can be written to a connection of the hub")]
    private static partial void WritingFailed(ILogger logger, Exception exception);

    [LoggerMessage(4412, LogLevel.Debug, "A client of the hub is gone: {ExceptionType}")]
    private static partial void ClientGone(ILogger logger, string exceptionType);

    [LoggerMessage(4410, LogLevel.Error, "A connection of the hub failed")]
    private static partial void ConnectionFailed(ILogger logger, Exception exception);
}
