using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform;

/// <summary>The one exception that features throw. Mappers turn it into what each door speaks; its message is meant for clients.</summary>
internal sealed class ApiException(ErrorCode code, string message, Exception? inner = null) : Exception(message, inner)
{
    public ErrorCode Code { get; } = code;

    public int? RetryAfterMs { get; init; }

    public long? CurrentEpoch { get; init; }

    /// <summary>The parts of the request that are wrong.</summary>
    public FieldError[]? Errors { get; init; }

    public ErrorBody ToBody() => new(Code, Message, Code.IsRetryable(), RetryAfterMs, CurrentEpoch, Errors);

    /// <summary>What a client is told about any exception. Text that is not ours never leaves the process.</summary>
    public static ErrorBody Describe(Exception exception) => exception is ApiException known
        ? known.ToBody()
        : new ErrorBody(ErrorCode.Internal, "The server failed. Sends are safe to repeat.", Retryable: true);

    public static ApiException NotFound() => new(ErrorCode.NotFound, "Not found, or you do not have access.");

    /// <summary>One sentence for every door. Which part is wrong is not told to a caller who has not proved anything.</summary>
    public static ApiException Unauthenticated() => new(
        ErrorCode.Unauthenticated,
        "This request has no valid access token or ticket. Send the access token as Authorization: Bearer; sign in or refresh to get a new one. A ticket works once.");

    public static ApiException Forbidden() => new(ErrorCode.Forbidden, "Your role does not allow this.");

    /// <summary>Definite: a sender that repeated it without end would hold up everything behind it.</summary>
    public static ApiException Unstorable()
    {
        const string Sentence = "The server can never store this send; repeating it changes nothing.";
        // Which member the database refuses is not known: "#" is the whole of the body (RFC 6901).
        return new(ErrorCode.Invalid, Sentence) { Errors = [new FieldError(Sentence, "#")] };
    }

    /// <summary>For a request that has no single wrong field, such as a call by the wrong transport.</summary>
    public static ApiException Invalid(string message) => new(ErrorCode.Invalid, message);

    /// <param name="message">A sentence for a developer.</param>
    /// <param name="fields">The members that are wrong, as paths such as <c>members/0</c>.</param>
    public static ApiException Invalid(string message, params ReadOnlySpan<string> fields) => new(ErrorCode.Invalid, message) { Errors = At(message, fields) };

    public static ApiException TooLarge(string field, int limit) => TooMany($"{field} may have {limit} bytes at most.", field);

    public static ApiException TooMany(string message, params ReadOnlySpan<string> fields) => new(ErrorCode.TooLarge, message) { Errors = At(message, fields) };

    /// <summary>The same refusal of what stands at this place in a larger request.</summary>
    public ApiException Within(string path) => new(Code, Message, InnerException)
    {
        RetryAfterMs = RetryAfterMs,
        CurrentEpoch = CurrentEpoch,
        Errors = Errors is { } errors ? Array.ConvertAll(errors, error => error with { Pointer = $"#/{path}{error.Pointer?[1..]}" }) : null,
    };

    private static FieldError[] At(string message, ReadOnlySpan<string> fields)
    {
        var errors = new FieldError[fields.Length];
        for (var i = 0; i < errors.Length; i++)
            errors[i] = new FieldError(message, $"#/{fields[i]}");
        return errors;
    }
}
