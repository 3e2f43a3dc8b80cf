using StackExchange.Redis;

namespace SecureMessaging.Server.Platform;

/// <summary>How every connection of a node to Redis behaves: it never keeps anybody waiting for a Redis that is away, and looks for it often.</summary>
internal static class RedisSettings
{
    private const int LongestConnectMs = 2000;
    private const int RetryMs = 500;

    /// <summary>Reads <c>ConnectionStrings:Redis</c>. It may hold a password, so that nothing of it is repeated when it cannot be read.</summary>
    public static ConfigurationOptions Parse(string connectionString, string clientName)
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
            options.ClientName = clientName;
            return options;
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException)
        {
            // Without what was thrown: its text repeats the setting, which holds a password.
            throw new StartException("ConnectionStrings:Redis is not a connection string such as redis:6379,ssl=true,user=…,password=…");
        }
    }
}
