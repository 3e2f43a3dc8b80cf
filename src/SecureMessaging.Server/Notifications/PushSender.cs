using System.Net;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Notifications;

/// <summary>What a push service made of a push.</summary>
internal enum PushOutcome
{
    /// <summary>It takes care of it.</summary>
    Taken,

    /// <summary>The endpoint is none (any more).</summary>
    Gone,

    /// <summary>It refuses this push for good: the same one would be refused again.</summary>
    Refused,

    /// <summary>It may be tried again.</summary>
    Failed,
}

/// <param name="Outcome">What became of the push.</param>
/// <param name="RetryAfter">How long to wait, where the service says so.</param>
/// <param name="Status">With <see cref="PushOutcome.Refused"/>: the HTTP status.</param>
internal readonly record struct PushAnswer(PushOutcome Outcome, TimeSpan? RetryAfter = null, int Status = 0);

/// <summary>Speaks to push services (RFC 8030 section 5). What leaves the server is who it is, for how long to try, and how urgent it is: no body, no topic, no trace.</summary>
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
            // Else a request would carry a trace id from here to there.
            ActivityHeadersPropagator = null,
            AutomaticDecompression = DecompressionMethods.None,
            MaxResponseDrainSize = 0,
            MaxConnectionsPerServer = ConnectionsPerService,
            MaxResponseHeadersLength = MaxHeaderKiB,
            // Names are looked up anew every time that nobody was woken for a while.
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

    /// <summary>Null: this server pushes nothing.</summary>
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
            // Not a byte of the body is read.
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
        catch (Exception exception) when (exception is HttpRequestException or IOException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
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
