using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform;

/// <summary>The one exception that features throw. Mappers turn it into what each door speaks; its message is meant for clients.</summary>
internal sealed class ApiException(ErrorCode code, string message, Exception? inner = null) : Exception(message, inner)
{
    public ErrorCode Code { get; } = code;

    public int? RetryAfterMs { get; init; }

    public long? CurrentEpoch { get; init; }

    public ErrorBody ToBody() => new(Code, Message, Code.IsRetryable(), RetryAfterMs, CurrentEpoch);

    /// <summary>What a client is told about any exception. Text that is not ours never leaves the process.</summary>
    public static ErrorBody Describe(Exception exception) => exception is ApiException known
        ? known.ToBody()
        : new ErrorBody(ErrorCode.Internal, "The server failed. Sends are safe to repeat.", Retryable: true);

    public static ApiException NotFound() => new(ErrorCode.NotFound, "There is no such thing here.");

    public static ApiException Forbidden() => new(ErrorCode.Forbidden, "Your role does not allow this.");

    /// <summary>Definite: a sender that repeated it for ever would hold up everything behind it.</summary>
    public static ApiException Unstorable() => new(ErrorCode.Invalid, "The server can never store this send; repeating it changes nothing.");

    public static ApiException Invalid(string message) => new(ErrorCode.Invalid, message);

    public static ApiException TooLarge(string what, int limit) => new(ErrorCode.TooLarge, $"{what} may have {limit} bytes at most.");
}
