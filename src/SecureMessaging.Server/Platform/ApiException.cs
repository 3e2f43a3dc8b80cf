using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform;

/// <summary>The only exception that features throw on purpose. Each door maps it to its protocol; the message is for clients.</summary>
internal sealed class ApiException(ErrorCode code, string message, Exception? inner = null) : Exception(message, inner)
{
    public ErrorCode Code { get; } = code;

    public int? RetryAfterMs { get; init; }

    public long? CurrentEpoch { get; init; }

    public long? CurrentNumber { get; init; }

    public FieldError[]? Errors { get; init; }

    public ErrorBody ToBody() => new(Code, Message, Code.IsRetryable(), RetryAfterMs, CurrentEpoch, Errors, CurrentNumber);

    /// <summary>The error that a client gets for any exception. Messages of other exceptions never leave the process.</summary>
    public static ErrorBody Describe(Exception exception) => exception is ApiException known
        ? known.ToBody()
        : new ErrorBody(ErrorCode.Internal, "The server failed. Sends are safe to repeat.", Retryable: true);

    public static ApiException NotFound() => new(ErrorCode.NotFound, "Not found, or you do not have access.");

    /// <summary>The field names an account that does not exist, or that is disabled.</summary>
    public static ApiException UnknownAccount(string field) => NotFound("There is no such account.", field);

    /// <summary>The field names an account that is not a member of the room.</summary>
    public static ApiException UnknownMember(string field) => NotFound("This account is not a member of the room.", field);

    /// <summary>The same sentence through every door. A caller without a valid credential does not learn which part is wrong.</summary>
    public static ApiException Unauthenticated() => new(
        ErrorCode.Unauthenticated,
        "This request has no valid access token or ticket. Send the access token as Authorization: Bearer; sign in or refresh to get a new one. "
        + "A ticket works once.");

    public static ApiException Forbidden() => new(ErrorCode.Forbidden, "Your role does not allow this.");

    /// <summary>Not retryable: a sender that retries without end would block everything behind it.</summary>
    public static ApiException Unstorable()
    {
        const string sentence = "The server can never store this send; a retry fails in the same way.";
        // It is unknown which member the database rejects: "#" is the whole body (RFC 6901).
        return new(ErrorCode.Invalid, sentence) { Errors = [new FieldError(sentence, "#")] };
    }

    /// <summary>Another change of the room takes long, and many sends wait for it.</summary>
    public static ApiException RoomBusy() => new(ErrorCode.Overloaded, "The room is busy; nothing was stored.") { RetryAfterMs = 200 };

    /// <summary>For a request without a single wrong field, such as a call through the wrong transport.</summary>
    public static ApiException Invalid(string message) => new(ErrorCode.Invalid, message);

    /// <summary>The fields are the wrong members, as paths such as <c>members/0</c>.</summary>
    public static ApiException Invalid(string message, params ReadOnlySpan<string> fields) => new(ErrorCode.Invalid, message) { Errors = At(message, fields) };

    public static ApiException Invalid(FieldError[] errors) =>
        new(ErrorCode.Invalid, string.Join(' ', errors.Select(error => error.Detail))) { Errors = errors };

    public static ApiException TooLarge(string field, int limit) => TooMany($"{field} may have {limit} bytes at most.", field);

    public static ApiException TooMany(string message, params ReadOnlySpan<string> fields) => new(ErrorCode.TooLarge, message) { Errors = At(message, fields) };

    public ApiException Within(string path) => new(Code, Message, InnerException)
    {
        RetryAfterMs = RetryAfterMs,
        CurrentEpoch = CurrentEpoch,
        CurrentNumber = CurrentNumber,
        Errors = Errors is { } errors ? Array.ConvertAll(errors, error => error with { Pointer = $"#/{path}{error.Pointer?[1..]}" }) : null,
    };

    private static ApiException NotFound(string sentence, string field) => new(ErrorCode.NotFound, sentence) { Errors = At(sentence, [field]) };

    private static FieldError[] At(string message, ReadOnlySpan<string> fields)
    {
        var errors = new FieldError[fields.Length];
        for (var i = 0; i < errors.Length; i++)
            errors[i] = new FieldError(message, $"#/{fields[i]}");
        return errors;
    }
}
