using System.Text.Json;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>Turns every failure of a hub call into a HubException whose message is an <see cref="ErrorBody"/> as JSON.</summary>
internal sealed partial class HubErrors(ILogger<HubErrors> logger) : IHubFilter
{
    public async ValueTask<object?> InvokeMethodAsync(HubInvocationContext invocationContext, Func<HubInvocationContext, ValueTask<object?>> next)
    {
        try
        {
            return await next(invocationContext);
        }
        catch (Exception exception)
        {
            var body = ApiException.Describe(exception);
            if (body.Code == ErrorCode.Internal && !invocationContext.Context.ConnectionAborted.IsCancellationRequested)
                Failed(logger, invocationContext.HubMethodName, exception);
            throw new HubException(JsonSerializer.Serialize(body, Wire.Json), exception);
        }
    }

    [LoggerMessage(4100, LogLevel.Error, "Hub method {Method} failed")]
    private static partial void Failed(ILogger logger, string method, Exception exception);
}
