using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>The hub's WebSockets on this node, from upgrade to close.</summary>
/// <remarks>
/// 1. The pipeline checks origin, limits and credentials as for any request. The endpoint only notes the admission.
/// 2. The pipeline ends before the WebSocket opens. Otherwise its state would stay in memory, as much as the rest of the connection.
/// 3. The request's data is released, the WebSocket is opened, and SignalR takes over.
/// </remarks>
internal sealed partial class HubWebSockets(
    HubConnectionHandler<ChatHub> hub, IHostApplicationLifetime lifetime, TimeProvider time, ServerMetrics metrics, ILogger<HubWebSockets> logger)
    : BackgroundService
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private static readonly ClaimsPrincipal Anonymous = new();
    private readonly ConcurrentDictionary<HubWebSocket, bool> open = new();

    public static Task Admit(HttpContext context)
    {
        if (!context.WebSockets.IsWebSocketRequest)
            throw NotAWebSocket();
        var expiry = context.Features.Get<IAuthenticateResultFeature>()?.AuthenticateResult?.Properties?.ExpiresUtc;
        context.Features.Set(new Admission(Caller.From(context.User), expiry));
        return Task.CompletedTask;
    }

    public static ApiException NotAWebSocket() => ApiException.Invalid(
        "The hub accepts only WebSockets, without negotiation. In a SignalR client, set skipNegotiation and the transport WebSockets.");

    public async Task ServeAsync(HttpContext context, RequestDelegate pipeline)
    {
        await pipeline(context);
        if (context.Features.Get<Admission>() is not { } admission)
            return;
        var transport = await HubTransport.AcceptAsync(context);
        await ForgetAsync(context);
        await RunAsync(new HubWebSocket(transport, admission.Caller, admission.Until, context.Abort, WriteFailed));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // At the start of the shutdown, before the web server waits for its connections to end.
        using var closing = lifetime.ApplicationStopping.Register(() =>
        {
            foreach (var (socket, _) in open)
                Safely(socket.RequestClose);
        });
        using var timer = new PeriodicTimer(Tick, time);
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

    /// <summary>A failure of one connection must not stop the pings of the others.</summary>
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

    /// <summary>Disconnected clients are normal. Any other exception is a fault of the server, which the client sees as a disconnect.</summary>
    internal void WriteFailed(Exception exception)
    {
        metrics.HubFailed("write");
        if (exception is IOException or OperationCanceledException or ObjectDisposedException or SocketException)
            ClientGone(logger, exception.GetType().Name);
        else
            WritingFailed(logger, exception);
    }

    private async Task RunAsync(HubWebSocket socket)
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

    /// <summary>Releases headers, claims and services of the request, which otherwise live as long as the connection.</summary>
    private static async Task ForgetAsync(HttpContext context)
    {
        if (context.Features.Get<IServiceProvidersFeature>() is IAsyncDisposable services)
            await services.DisposeAsync();
        context.Features.Set<IServiceProvidersFeature>(null);
        context.Features.Set<Admission>(null);
        context.Features.Set<IAuthenticateResultFeature>(null);
        context.User = Anonymous;
        context.Request.Headers.Clear();
    }

    /// <summary>The authenticated caller, and the expiry of the authentication.</summary>
    private sealed record Admission(Caller Caller, DateTimeOffset? Until);

    [LoggerMessage(4411, LogLevel.Error, "Writing to a hub connection failed; it is closed")]
    private static partial void WritingFailed(ILogger logger, Exception exception);

    [LoggerMessage(4412, LogLevel.Debug, "A hub client disconnected: {ExceptionType}")]
    private static partial void ClientGone(ILogger logger, string exceptionType);

    [LoggerMessage(4410, LogLevel.Error, "A hub connection failed")]
    private static partial void ConnectionFailed(ILogger logger, Exception exception);
}
