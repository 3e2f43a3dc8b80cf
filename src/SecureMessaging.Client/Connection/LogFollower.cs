using System.Net;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>
/// The connection to the administrators' hub. It reconnects without end. Its queue is bounded: a slow reader misses the oldest lines.
/// </summary>
internal sealed class LogFollower(Uri server, Session session, Http http, ClientOptions options, Warnings warnings)
{
    private const int Capacity = 10_000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Uri address = new(server, Wire.AdminHubPath.TrimStart('/'));

    public async IAsyncEnumerable<LogLine> FollowAsync(LogFilter filter, Action<bool> connected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var backoff = new Backoff(options);
        string? rejected = null;
        DateTimeOffset? lostAt = null;
        while (true)
        {
            var token = await session.AccessTokenAsync(rejected, cancellationToken);
            var dropped = 0;
            var lines = Channel.CreateBounded<LogLine>(
                new BoundedChannelOptions(Capacity) { FullMode = BoundedChannelFullMode.DropOldest }, _ => Interlocked.Increment(ref dropped));
            var refusal = new Refusal();
            await using var hub = Build(token, refusal);
            hub.On<LogLine[]>(nameof(IAdminClient.Logged), received =>
            {
                foreach (var line in received)
                    lines.Writer.TryWrite(line);
            });
            hub.Closed += _ =>
            {
                lines.Writer.TryComplete();
                return Task.CompletedTask;
            };
            var started = await TryStartAsync(hub, filter, cancellationToken);
            if (refusal.Status == HttpStatusCode.Forbidden)
                throw new SecureMessagingException(new ErrorBody(ErrorCode.Forbidden, "This account does not administer the server.", Retryable: false));
            rejected = refusal.Status == HttpStatusCode.Unauthorized ? token : null;
            if (started)
            {
                backoff.Reset();
                connected(true);
                if (lostAt is { } since)
                    yield return Mark("LinesMissed", $"No connection since {since.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC; the lines of that time are missing");
                await foreach (var line in lines.Reader.ReadAllAsync(cancellationToken))
                {
                    if (Interlocked.Exchange(ref dropped, 0) is > 0 and var count)
                        yield return Mark("LinesDropped", $"{count} lines were dropped, because they were not read in time");
                    yield return line;
                }
                lostAt = options.TimeProvider.GetUtcNow();
                connected(false);
            }
            await backoff.DelayAsync(null, cancellationToken);
        }
    }

    /// <summary>A line of the SDK in the place of missing lines.</summary>
    private LogLine Mark(string eventName, string message) => new(
        "", options.TimeProvider.GetUtcNow().UtcDateTime, LogSeverity.Warning, 0, eventName, "SecureMessaging.Client", message, []);

    private async Task<bool> TryStartAsync(HubConnection hub, LogFilter filter, CancellationToken cancellationToken)
    {
        // A stopping node can accept the connection and then send nothing.
        using var timeout = new CancellationTokenSource(Patience, options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await hub.StartAsync(either.Token);
            await hub.InvokeAsync(nameof(IAdminHub.Follow), filter, either.Token);
            return true;
        }
        catch (Microsoft.AspNetCore.SignalR.HubException e)
        {
            throw SecureMessagingException.FromHub(e);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            warnings.Raise(ClientWarningKind.Connection, $"Connecting to the logs failed: {e.Message}", e);
            return false;
        }
    }

    private HubConnection Build(string token, Refusal refusal)
    {
        var builder = new HubConnectionBuilder()
            .WithUrl(address, connection =>
            {
                connection.Transports = HttpTransportType.WebSockets;
                connection.SkipNegotiation = true;
                connection.WebSocketFactory = (context, cancellationToken) => UpgradeAsync(context.Uri, token, refusal, cancellationToken);
            })
            .AddJsonProtocol(json => Wire.Configure(json.PayloadSerializerOptions));
        if (options.LoggerFactory is not null)
            builder.Services.AddSingleton(options.LoggerFactory);
        var hub = builder.Build();
        hub.ServerTimeout = TimeSpan.FromSeconds(30);
        hub.KeepAliveInterval = TimeSpan.FromSeconds(10);
        return hub;
    }

    /// <summary>Our own upgrade: the token is in a header and never in the URL, and a rejection differs from a failure.</summary>
    private async ValueTask<WebSocket> UpgradeAsync(Uri uri, string token, Refusal refusal, CancellationToken cancellationToken)
    {
        var socket = new ClientWebSocket();
        try
        {
            socket.Options.SetRequestHeader("Authorization", "Bearer " + token);
            socket.Options.CollectHttpResponseDetails = true;
            using var invoker = new HttpMessageInvoker(http.Handler, disposeHandler: false);
            await socket.ConnectAsync(uri, invoker, cancellationToken);
            return socket;
        }
        catch
        {
            refusal.Status = socket.HttpStatusCode;
            socket.Dispose();
            throw;
        }
    }

    private sealed class Refusal
    {
        public HttpStatusCode Status { get; set; }
    }
}
