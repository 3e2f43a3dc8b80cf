using System.Reflection;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>Counts hub calls, and turns every failure of one into a HubException whose message is an <see cref="ErrorBody"/> as JSON.</summary>
internal sealed partial class HubErrors(RateLimits rates, TimeProvider time, ILogger<HubErrors> logger) : IHubFilter
{
    /// <summary>
    /// Who asks too much is answered this much later, and the calls of a connection are carried out one after the other: that many refusals are all that one
    /// connection can make the server work for.
    /// </summary>
    private static readonly TimeSpan RefusalDelay = TimeSpan.FromMilliseconds(50);

    private readonly OncePerMinute lines = new(time);

    public async ValueTask<object?> InvokeMethodAsync(HubInvocationContext invocationContext, Func<HubInvocationContext, ValueTask<object?>> next)
    {
        try
        {
            // Sends have a budget of their own, which they share with the other doors.
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

    /// <summary>What has the name of a parameter is one; all else is a member of the one record that the method takes.</summary>
    private static FieldError Locate(FieldError error, MethodInfo method) =>
        error.Pointer is ['#', '/', .. var name] && Array.Exists(method.GetParameters(), parameter => parameter.Name == name) ? new FieldError(error.Detail, Parameter: name) : error;

    // The hub of administrators is SignalR's through and through.
    private static Caller CallerOf(HubCallerContext context) => context.Features.Get<HubSocket>()?.Caller ?? Caller.From(context.User);

    [LoggerMessage(4100, LogLevel.Error, "Hub method {Method} failed ({Count} more since the last such line)")]
    private static partial void Failed(ILogger logger, string method, int count, Exception exception);
}
