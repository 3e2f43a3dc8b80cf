using StackExchange.Redis;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>Settings of every connection to Redis: a call fails at once while Redis is down, and reconnects are frequent.</summary>
internal static class RedisSettings
{
    private const int LongestConnectMs = 2000;
    private const int RetryMs = 500;
    private const int KeepAliveSeconds = 2;

    /// <summary>Reads <c>ConnectionStrings:Redis</c>. It may contain a password, so errors repeat no part of it.</summary>
    public static ConfigurationOptions Parse(string connectionString)
    {
        try
        {
            if (connectionString.Contains("://", StringComparison.Ordinal))
                throw new FormatException();
            var options = ConfigurationOptions.Parse(connectionString);
            if (options.EndPoints.Count == 0)
                throw new FormatException();
            options.AbortOnConnectFail = false;
            options.BacklogPolicy = BacklogPolicy.FailFast;
            options.ConnectTimeout = Math.Min(options.ConnectTimeout, LongestConnectMs);
            options.ReconnectRetryPolicy = new LinearRetry(RetryMs);
            options.KeepAlive = KeepAliveSeconds;
            options.ClientName = "secure-messaging";
            return options;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            // Without the inner exception: its message repeats the setting and its password.
            throw new StartException("ConnectionStrings:Redis is not a connection string such as redis:6379,ssl=true,user=…,password=…");
        }
    }
}
