using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>The exception for all failures of the server and of the connection to it.</summary>
public sealed class SecureMessagingException : Exception
{
    /// <summary>Reports an error of the contract.</summary>
    public SecureMessagingException(ErrorBody error)
        : this(error, null)
    {
    }

    /// <summary>Reports an error of the contract and its cause.</summary>
    public SecureMessagingException(ErrorBody error, Exception? inner)
        : base((error ?? throw new ArgumentNullException(nameof(error))).Message, inner) => Error = error;

    /// <summary>Reports a failure of the server without an error code.</summary>
    public SecureMessagingException(string message, Exception? inner)
        : this(new ErrorBody(ErrorCode.Internal, message, Retryable: true), inner)
    {
    }

    /// <summary>Reports a failure of the server without an error code.</summary>
    public SecureMessagingException(string message)
        : this(message, null)
    {
    }

    /// <summary>Reports a failure of the server without details.</summary>
    public SecureMessagingException()
        : this("The server failed.", null)
    {
    }

    /// <summary>The error of the server.</summary>
    public ErrorBody Error { get; }

    /// <summary>The error code; <see cref="Protocol.ErrorCode.Unavailable"/> also when the server cannot be reached.</summary>
    public ErrorCode ErrorCode => Error.Code;

    /// <summary>Whether the same call can succeed later.</summary>
    public bool Retryable => Error.Retryable;

    /// <summary>The time to wait before a retry, when the server gave one.</summary>
    public TimeSpan? RetryAfter => Error.RetryAfterMs is { } delay ? TimeSpan.FromMilliseconds(delay) : null;

    /// <param name="inner">Its message is the reason.</param>
    /// <param name="server">The address that was tried.</param>
    internal static SecureMessagingException Unreachable(Exception? inner = null, Uri? server = null)
    {
        var why = inner is HttpRequestException ? $": {inner.Message.TrimEnd('.')}" : inner is OperationCanceledException ? ": no answer in time" : "";
        var where = server is null ? "" : $" at {server.GetLeftPart(UriPartial.Path)}";
        return new(new ErrorBody(ErrorCode.Unavailable, $"The server cannot be reached{where}{why}.", Retryable: true), inner);
    }

    internal static SecureMessagingException SignedOut() =>
        new(new ErrorBody(ErrorCode.Unauthenticated, "The session has ended. Sign in again.", Retryable: false));

    /// <summary>Reads a HubException, whose text ends with an <see cref="ErrorBody"/> as JSON, after a text of SignalR.</summary>
    internal static SecureMessagingException FromHub(Exception exception)
    {
        var start = exception.Message.IndexOf('{', StringComparison.Ordinal);
        if (start >= 0)
        {
            try
            {
                if (JsonSerializer.Deserialize<ErrorBody>(exception.Message.AsSpan(start), Wire.Json) is { } body)
                    return new(body, exception);
            }
            catch (JsonException)
            {
                // The text has a brace, but no error.
            }
        }
        return new("The server failed.", exception);
    }
}
