using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>Counts hub calls, and maps every failure to a HubException whose message is an <see cref="ErrorBody"/> as JSON.</summary>
internal sealed partial class HubErrors(RateLimits rates, TimeProvider time, ILogger<HubErrors> logger) : IHubFilter
{
    /// <summary>
    /// Delay of a rate limit error. A connection's calls run one after the other, so this bounds the rejections that one connection can cause.
    /// </summary>
    private static readonly TimeSpan RefusalDelay = TimeSpan.FromMilliseconds(50);

    private readonly OncePerMinute lines = new(time);

    public async ValueTask<object?> InvokeMethodAsync(HubInvocationContext invocationContext, Func<HubInvocationContext, ValueTask<object?>> next)
    {
        try
        {
            // Sends have their own limit, which they share with the other doors.
            if (invocationContext.HubMethodName is not (nameof(ChatHub.Send) or nameof(ChatHub.SendBatch)))
                rates.Requests.Spend(CallerOf(invocationContext.Context).UserId);
            return await next(invocationContext);
        }
        catch (Exception exception)
        {
            var body = ApiException.Describe(exception);
            if (body.Errors is { } errors)
                body = body with { Errors = Array.ConvertAll(errors, error => Locate(error, invocationContext.HubMethod)) };
            if (body.Code == ErrorCode.Internal && !invocationContext.Context.ConnectionAborted.IsCancellationRequested
                && lines.Allows($"{exception.GetType().Name} {invocationContext.HubMethodName}", out var others))
                Failed(logger, invocationContext.HubMethodName, others, exception);
            if (body.Code == ErrorCode.RateLimited)
                await Task.Delay(RefusalDelay, time, invocationContext.Context.ConnectionAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new HubException(JsonSerializer.Serialize(body, Wire.Json), exception);
        }
    }

    /// <summary>A name of a parameter is a parameter; all others are members of the method's only record.</summary>
    private static FieldError Locate(FieldError error, MethodInfo method) =>
        error.Pointer is ['#', '/', .. var name] && Array.Exists(method.GetParameters(), parameter => parameter.Name == name)
            ? new FieldError(error.Detail, Parameter: name)
            : error;

    // The administrators' hub has no HubWebSocket: it uses SignalR's own transport.
    private static Caller CallerOf(HubCallerContext context) => context.Features.Get<HubWebSocket>()?.Caller ?? Caller.From(context.User);

    [LoggerMessage(4100, LogLevel.Error, "Hub method {Method} failed; {Count} more failures since the last such line")]
    private static partial void Failed(ILogger logger, string method, int count, Exception exception);
}
