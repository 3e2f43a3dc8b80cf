using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>
/// The error codes of hub, REST and GraphQL.
/// A code reveals only what the caller may know: an object that the caller may not see is <see cref="NotFound"/>.
/// </summary>
public enum ErrorCode
{
    /// <summary>A code of a later version: <see cref="ErrorBody.Retryable"/> tells whether to retry. Readers only.</summary>
    [EnumMember(Value = "Unknown")] Unknown = -1,

    /// <summary>The server failed. The outcome is unknown. Retries of a send with the same id are idempotent. HTTP 500.</summary>
    Internal = 0,

    /// <summary>The object does not exist, or the caller may not see it. HTTP 404.</summary>
    NotFound,

    /// <summary>No credentials, or credentials that are wrong, expired or revoked. HTTP 401.</summary>
    Unauthenticated,

    /// <summary>The caller may see the object, but its role does not allow the operation. HTTP 403.</summary>
    Forbidden,

    /// <summary>The request is malformed or breaks a rule of the contract. HTTP 400.</summary>
    Invalid,

    /// <summary>The request conflicts with stored data, such as a taken username or a reused id with other bytes. HTTP 409.</summary>
    Conflict,

    /// <summary>A commit named an epoch that is not the room's current one. Read the log, then retry. HTTP 409.</summary>
    WrongEpoch,

    /// <summary>An application message was encrypted for an epoch that the room no longer accepts. HTTP 409.</summary>
    EpochTooOld,

    /// <summary>A field or the whole request is over a limit of <c>GET /v1/limits</c>. HTTP 413.</summary>
    TooLarge,

    /// <summary>The caller is over a quota; wait for <see cref="ErrorBody.RetryAfterMs"/>. HTTP 429.</summary>
    RateLimited,

    /// <summary>The server's queue is full. Nothing was done; wait for <see cref="ErrorBody.RetryAfterMs"/>. HTTP 503.</summary>
    Overloaded,

    /// <summary>The database or another needed part did not answer in time. The outcome is unknown. HTTP 503.</summary>
    Unavailable,

    /// <summary>The object has expired, such as a connection ticket. HTTP 410.</summary>
    Expired,

    /// <summary>
    /// A quota of bytes of <c>GET /v1/limits</c> is used up, and nothing was stored. The message names the quota. An early retry cannot succeed: a daily
    /// quota recovers within a day, and a room's total when entries are redacted or expire. HTTP 403.
    /// </summary>
    QuotaExceeded,
}

/// <summary>Extensions of <see cref="ErrorCode"/>.</summary>
public static class ErrorCodes
{
    /// <summary>Whether the same request can succeed when it is repeated.</summary>
    public static bool IsRetryable(this ErrorCode code) =>
        code is ErrorCode.Internal or ErrorCode.RateLimited or ErrorCode.Overloaded or ErrorCode.Unavailable;
}

/// <summary>
/// An error as it is sent: the <c>extensions</c> of a ProblemDetails (RFC 9457) over HTTP, and the JSON text of a HubException on the hub.
/// </summary>
/// <param name="Code">The error code.</param>
/// <param name="Message">A sentence for a developer. It names no stored data and may change between versions.</param>
/// <param name="Retryable">Whether the same request can succeed later.</param>
/// <param name="RetryAfterMs">Milliseconds to wait before a retry, when the server knows.</param>
/// <param name="CurrentEpoch">With <see cref="ErrorCode.WrongEpoch"/> and <see cref="ErrorCode.EpochTooOld"/>: the room's epoch.</param>
/// <param name="Errors">
/// With <see cref="ErrorCode.Invalid"/> and <see cref="ErrorCode.TooLarge"/>, and when the request names an unknown account: which parts are wrong.
/// </param>
/// <param name="CurrentNumber">With <see cref="ErrorCode.Conflict"/> of a device list: the number of the newest stored list, 0 if there is none.</param>
public sealed record ErrorBody(
    ErrorCode Code, string Message, bool Retryable, int? RetryAfterMs = null, long? CurrentEpoch = null, FieldError[]? Errors = null,
    long? CurrentNumber = null);

/// <summary>A part of a request that was refused. A pointer or a parameter names it.</summary>
/// <param name="Detail">What is wrong with it.</param>
/// <param name="Pointer">
/// A member of the body, of a hub method's record or of a GraphQL argument: a JSON Pointer as a URI fragment (RFC 6901 section 6), such as
/// <c>#/members/0</c>.
/// </param>
/// <param name="Parameter">A parameter of the path, the query, the header or the hub method, by its name.</param>
public sealed record FieldError(string Detail, string? Pointer = null, string? Parameter = null);
