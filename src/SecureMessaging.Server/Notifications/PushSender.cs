using System.Net;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Notifications;

internal enum PushOutcome
{
    Taken,

    /// <summary>The endpoint is not valid, or no longer valid.</summary>
    Gone,

    /// <summary>The push service rejects it permanently.</summary>
    Refused,

    /// <summary>It may be retried.</summary>
    Failed,
}

/// <param name="Outcome">The result.</param>
/// <param name="RetryAfter">The wait that the push service requests.</param>
/// <param name="Status">With <see cref="PushOutcome.Refused"/>: the HTTP status.</param>
internal readonly record struct PushAnswer(PushOutcome Outcome, TimeSpan? RetryAfter = null, int Status = 0);

/// <summary>
/// Sends pushes (RFC 8030 section 5). A push has the server's identity, a time to live and an urgency. It has no body, no topic and no trace id.
/// </summary>
internal sealed class PushSender : IDisposable
{
    private const int ConnectionsPerService = 8;
    private const int MaxHeaderKiB = 16;

    // RFC 8470 section 5.2.
    private const HttpStatusCode TooEarly = (HttpStatusCode)425;
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(1);

    private readonly VapidKey? key;
    private readonly PushAddress addresses;
    private readonly PushOptions options;
    private readonly TimeProvider time;
    private readonly HttpClient http;

    public PushSender(PushAddress addresses, IOptions<ServerOptions> server, IOptions<PushOptions> options, TimeProvider time)
    {
        (this.addresses, this.options, this.time) = (addresses, options.Value, time);
        key = options.Value.Enabled ? new VapidKey(server, options, time) : null;
        http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            // Otherwise requests would carry a trace id.
            ActivityHeadersPropagator = null,
            AutomaticDecompression = DecompressionMethods.None,
            MaxResponseDrainSize = 0,
            MaxConnectionsPerServer = ConnectionsPerService,
            MaxResponseHeadersLength = MaxHeaderKiB,
            // Names are resolved again after an idle minute.
            PooledConnectionIdleTimeout = IdleTimeout,
            PooledConnectionLifetime = IdleTimeout,
            ConnectCallback = (context, cancellationToken) => addresses.ConnectAsync(context.DnsEndPoint, cancellationToken),
        })
        {
            Timeout = options.Value.Timeout,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
    }

    /// <summary>Null: this server sends no pushes.</summary>
    public string? PublicKey => key?.PublicKey;

    public async Task<PushAnswer> PushAsync(string endpoint, NotificationPriority priority, CancellationToken cancellationToken)
    {
        if (key is null || addresses.Read(endpoint) is not { } uri)
            return new(PushOutcome.Gone);
        using var request = new HttpRequestMessage(HttpMethod.Post, uri);
        request.Headers.TryAddWithoutValidation("Authorization", key.Authorize(uri.GetLeftPart(UriPartial.Authority)));
        request.Headers.Add("TTL", ((int)options.TimeToLive.TotalSeconds).ToString());
        request.Headers.Add("Urgency", priority switch { NotificationPriority.Low => "low", NotificationPriority.High => "high", _ => "normal" });
        try
        {
            // The response body is not read.
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return response.StatusCode switch
            {
                HttpStatusCode.NotFound or HttpStatusCode.Gone => new(PushOutcome.Gone),
                >= HttpStatusCode.OK and < HttpStatusCode.MultipleChoices => new(PushOutcome.Taken),
                HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or TooEarly or >= HttpStatusCode.InternalServerError =>
                    new(PushOutcome.Failed, RetryAfter(response)),
                var status => new(PushOutcome.Refused, Status: (int)status),
            };
        }
        catch (HttpRequestException exception) when (exception.GetBaseException() is PushRefusedException)
        {
            return new(PushOutcome.Gone);
        }
        catch (Exception exception) when (
            exception is HttpRequestException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return new(PushOutcome.Failed);
        }
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - time.GetUtcNow(),
        _ => null,
    };

    public void Dispose() => http.Dispose();
}
