using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Startup;
using StackExchange.Redis;

namespace SecureMessaging.Server.Cluster;

/// <summary>
/// The node's only connection to Redis. The bus and SignalR's backplane share it. It opens in the background, reconnects by itself, and closes after all
/// services that use it have stopped.
/// </summary>
internal sealed partial class RedisConnection : BackgroundService
{
    public const string NoPings =
        "it takes connections, and what this node publishes does not come back. It may be paused, or its user may not use the channel";

    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly ConfigurationOptions? settings;
    private readonly TaskCompletionSource<ConnectionMultiplexer> opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeProvider time;
    private readonly ILogger<RedisConnection> logger;
    private volatile string? refusal;

    public RedisConnection(IConfiguration configuration, IOptions<BusOptions> options, TimeProvider time, ILogger<RedisConnection> logger)
    {
        (this.time, this.logger) = (time, logger);
        if (!IsConfigured(configuration))
            return;
        settings = RedisSettings.Parse(configuration.GetConnectionString("Redis")!);
        settings.ChannelPrefix = RedisChannel.Literal(options.Value.ChannelPrefix + ":");
    }

    /// <summary>False when this node is the only one.</summary>
    public bool IsEnabled => settings is not null;

    public static bool IsConfigured(IConfiguration configuration) => !string.IsNullOrWhiteSpace(configuration.GetConnectionString("Redis"));

    /// <summary>The connection. While Redis is away, the library keeps subscriptions until Redis answers, and rejects other commands.</summary>
    public Task<ConnectionMultiplexer> GetAsync(CancellationToken cancellationToken) => opened.Task.WaitAsync(cancellationToken);

    /// <summary>
    /// The same connection, after the first answer of Redis. SignalR's manager needs this, because it subscribes once, when it gets the connection, and never
    /// again.
    /// </summary>
    public async Task<IConnectionMultiplexer> GetAnsweringAsync()
    {
        for (var redis = await opened.Task; ; await Task.Delay(Retry, time))
        {
            try
            {
                await redis.GetSubscriber().PingAsync();
                return redis;
            }
            catch (Exception exception) when (exception is RedisException or TimeoutException)
            {
                Silent(logger, exception.GetType().Name);
            }
        }
    }

    /// <summary>
    /// Finds out why Redis cannot be used, with a trial connection that is closed at once. The library reports the reason only to a caller that opens a
    /// connection, not when it reconnects.
    /// </summary>
    public async Task<string> DiagnoseAsync()
    {
        try
        {
            var trial = settings!.Clone();
            (trial.AbortOnConnectFail, trial.ConnectRetry) = (true, 1);
            await using var redis = await ConnectionMultiplexer.ConnectAsync(trial);
            return refusal is { } text ? Explain(ConnectionFailureType.None, new RedisException(text)) : NoPings;
        }
        catch (Exception exception)
        {
            return Explain((exception as RedisConnectionException)?.FailureType ?? ConnectionFailureType.UnableToConnect, exception);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (settings is null)
            return;
        if (await OpenAsync(settings, stoppingToken) is not { } redis)
        {
            opened.SetCanceled(stoppingToken);
            return;
        }

        opened.SetResult(redis);
        await Task.Delay(Timeout.Infinite, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // SignalR's manager unsubscribes when the container disposes it, and would wait for a Redis that is away. This leaves it nothing to unsubscribe.
        await redis.GetSubscriber().UnsubscribeAllAsync(CommandFlags.FireAndForget);
        await redis.CloseAsync();
    }

    private async Task<ConnectionMultiplexer?> OpenAsync(ConfigurationOptions options, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                var redis = await ConnectionMultiplexer.ConnectAsync(options);
                redis.ErrorMessage += (_, error) => refusal = error.Message;
                return redis;
            }
            catch (RedisException exception)
            {
                OpenFailed(logger, exception.GetType().Name);
                await Task.Delay(Retry, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        return null;
    }

    /// <summary>Names the kind of failure only: the text of Redis or of the library may hold names and addresses.</summary>
    private string Explain(ConnectionFailureType type, Exception? exception)
    {
        for (var inner = exception; inner is not null; inner = inner.InnerException)
        {
            if (Array.Exists(["WRONGPASS", "NOAUTH", "without any password"], word => inner.Message.Contains(word, StringComparison.Ordinal)))
                return "it rejects the user or the password";
            if (inner.Message.Contains("NOPERM", StringComparison.Ordinal))
                return "its user has no right to publish, to subscribe, or to use the channel";
        }

        return type switch
        {
            // The library does not distinguish these causes.
            not ConnectionFailureType.None when settings!.Ssl =>
                "nothing answers at its address, or TLS fails: its certificate is not trusted, or it does not speak TLS",
            ConnectionFailureType.UnableToConnect or ConnectionFailureType.UnableToResolvePhysicalConnection => "nothing answers at its address",
            ConnectionFailureType.AuthenticationFailure => "it rejects the user or the password",
            ConnectionFailureType.SocketFailure or ConnectionFailureType.SocketClosed => "it closed the connection",
            ConnectionFailureType.ProtocolFailure => "what answers does not speak the protocol of Redis",
            _ => NoPings,
        };
    }

    [LoggerMessage(4202, LogLevel.Warning, "The connection to Redis cannot be opened ({ExceptionType}); the node tries again")]
    private static partial void OpenFailed(ILogger logger, string exceptionType);

    [LoggerMessage(4204, LogLevel.Debug, "Redis does not answer yet ({ExceptionType})")]
    private static partial void Silent(ILogger logger, string exceptionType);
}
