using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>Maps every failure of an HTTP request to ProblemDetails (RFC 9457) with the fields of <see cref="ErrorBody"/>.</summary>
internal sealed partial class ProblemMapper(TimeProvider time, ILogger<ProblemMapper> logger) : IExceptionHandler
{
    private readonly OncePerMinute lines = new(time);

    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && httpContext.RequestAborted.IsCancellationRequested)
            return true;
        // The framework's own rejections have a more precise status than the code: 408, 413, 415.
        if (exception is BadHttpRequestException { StatusCode: var status and >= 400 and < 500 })
        {
            var fault = status == StatusCodes.Status400BadRequest
                ? RequestFault.Describe(exception, RequestFault.EndpointOf(httpContext))
                : Describe(httpContext, status);
            await WriteAsync(httpContext, fault, status, cancellationToken);
            return true;
        }

        var endpoint = RequestFault.EndpointOf(httpContext);
        var body = exception is BadHttpRequestException or JsonException ? RequestFault.Describe(exception, endpoint) : ApiException.Describe(exception);
        // A client that causes one failure can cause any number, so lines are bounded.
        var cause = $"{exception.GetType().Name} {(endpoint as RouteEndpoint)?.RoutePattern.RawText}";
        if (body.Code == ErrorCode.Internal && lines.Allows(cause, out var others))
            Failed(logger, exception.GetType().Name, others, exception);
        await WriteAsync(httpContext, body, cancellationToken);
        return true;
    }

    public static Task WriteAsync(HttpContext context, ErrorBody body, CancellationToken cancellationToken = default) =>
        WriteAsync(context, body, Status(body.Code), cancellationToken);

    public static string Seconds(int milliseconds) => (((long)milliseconds + 999) / 1000).ToString(CultureInfo.InvariantCulture);

    private static Task WriteAsync(HttpContext context, ErrorBody body, int status, CancellationToken cancellationToken)
    {
        context.Response.StatusCode = status;
        if (body.RetryAfterMs is { } delay)
            context.Response.Headers.RetryAfter = Seconds(delay);
        return context.Response.WriteAsJsonAsync(
            new Problem(
                "about:blank", body.Code.ToString(), status, body.Message, body.Code, body.Retryable, body.RetryAfterMs, body.CurrentEpoch,
                RequestFault.Locate(body.Errors, RequestFault.EndpointOf(context)), body.CurrentNumber),
            Wire.Json, "application/problem+json", cancellationToken);
    }

    public static Task WriteBareStatusAsync(HttpContext context) =>
        WriteAsync(context, Describe(context, context.Response.StatusCode), context.Response.StatusCode, default);

    private static ErrorBody Describe(HttpContext context, int status) => status switch
    {
        StatusCodes.Status401Unauthorized => ApiException.Unauthenticated().ToBody(),
        StatusCodes.Status403Forbidden => ApiException.Forbidden().ToBody(),
        // No endpoint has this path, so the answer reveals nothing that needs access.
        StatusCodes.Status404NotFound when RequestFault.EndpointOf(context) is null =>
            new(
                ErrorCode.NotFound,
                "There is nothing at this path. The paths of the REST API are in /openapi/v1.json; /docs lists the other documents.",
                false),
        StatusCodes.Status404NotFound => ApiException.NotFound().ToBody(),
        StatusCodes.Status413PayloadTooLarge => new(ErrorCode.TooLarge, "The request is too large.", false),
        StatusCodes.Status429TooManyRequests => new(ErrorCode.RateLimited, "Too many requests.", true, 1000),
        >= 500 => new(ErrorCode.Internal, "The server failed.", true),
        StatusCodes.Status405MethodNotAllowed => new(
            ErrorCode.Invalid, "This path does not take this method. The header Allow names the methods that it takes.", false),
        StatusCodes.Status415UnsupportedMediaType => new(ErrorCode.Invalid, "The body must be application/json in UTF-8.", false),
        _ => RequestFault.Unreadable,
    };

    public static int Status(ErrorCode code) => code switch
    {
        ErrorCode.NotFound => StatusCodes.Status404NotFound,
        ErrorCode.Unauthenticated => StatusCodes.Status401Unauthorized,
        ErrorCode.Forbidden or ErrorCode.QuotaExceeded => StatusCodes.Status403Forbidden,
        ErrorCode.Invalid => StatusCodes.Status400BadRequest,
        ErrorCode.Conflict or ErrorCode.WrongEpoch or ErrorCode.EpochTooOld => StatusCodes.Status409Conflict,
        ErrorCode.TooLarge => StatusCodes.Status413PayloadTooLarge,
        ErrorCode.RateLimited => StatusCodes.Status429TooManyRequests,
        ErrorCode.Overloaded or ErrorCode.Unavailable => StatusCodes.Status503ServiceUnavailable,
        ErrorCode.Expired => StatusCodes.Status410Gone,
        _ => StatusCodes.Status500InternalServerError,
    };

    [LoggerMessage(1002, LogLevel.Error, "A request failed with {ExceptionType}; {Count} more failures since the last such line")]
    private static partial void Failed(ILogger logger, string exceptionType, int count, Exception exception);
}

/// <summary>An error over HTTP: ProblemDetails (RFC 9457) with the fields of the catalogue.</summary>
/// <param name="Type">Always <c>about:blank</c>: the code names the error.</param>
/// <param name="Title">The code.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Detail">A sentence for a developer. It names no stored data and may change between versions.</param>
/// <param name="Code">The entry of the catalogue.</param>
/// <param name="Retryable">Whether the same request can succeed later.</param>
/// <param name="RetryAfterMs">Milliseconds to wait before a retry, when the server knows.</param>
/// <param name="CurrentEpoch">With <c>WrongEpoch</c> and <c>EpochTooOld</c>: the room's epoch.</param>
/// <param name="Errors">With <c>Invalid</c> and <c>TooLarge</c>: which members and parameters are wrong, and why (RFC 9457 section 3).</param>
/// <param name="CurrentNumber">With <c>Conflict</c> of a device list: the number of the newest stored list.</param>
internal sealed record Problem(
    string Type, string Title, int Status, string Detail, ErrorCode Code, bool Retryable, int? RetryAfterMs, long? CurrentEpoch, FieldError[]? Errors = null,
    long? CurrentNumber = null);
