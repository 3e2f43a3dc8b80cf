using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Client;

/// <summary>The one exception by which the SDK reports what the server, or the way to it, did.</summary>
public sealed class SecureMessagingException : Exception
{
    /// <summary>Reports an error of the catalogue.</summary>
    public SecureMessagingException(ErrorBody error, Exception? inner = null)
        : base((error ?? throw new ArgumentNullException(nameof(error))).Message, inner) => Error = error;

    /// <summary>Reports that the server failed in a way of which nothing more is known.</summary>
    public SecureMessagingException(string message, Exception? inner)
        : this(new ErrorBody(ErrorCode.Internal, message, Retryable: true), inner)
    {
    }

    /// <summary>Reports that the server failed in a way of which nothing more is known.</summary>
    public SecureMessagingException(string message)
        : this(message, null)
    {
    }

    /// <summary>Reports that the server failed in a way of which nothing is known.</summary>
    public SecureMessagingException()
        : this("The server failed.", null)
    {
    }

    /// <summary>Everything the server said.</summary>
    public ErrorBody Error { get; }

    /// <summary>Which entry of the catalogue; <see cref="Protocol.ErrorCode.Unavailable"/> also when the server could not be reached.</summary>
    public ErrorCode ErrorCode => Error.Code;

    /// <summary>Whether the same call can succeed later.</summary>
    public bool Retryable => Error.Retryable;

    /// <summary>How long to wait before that, when the server said so.</summary>
    public TimeSpan? RetryAfter => Error.RetryAfterMs is { } delay ? TimeSpan.FromMilliseconds(delay) : null;

    /// <param name="inner">Its message says why.</param>
    /// <param name="server">The address that was tried.</param>
    internal static SecureMessagingException Unreachable(Exception? inner = null, Uri? server = null)
    {
        var why = inner is HttpRequestException ? $": {inner.Message.TrimEnd('.')}" : inner is OperationCanceledException ? ": no answer in time" : "";
        var where = server is null ? "" : $" at {server.GetLeftPart(UriPartial.Path)}";
        return new(new ErrorBody(ErrorCode.Unavailable, $"The server cannot be reached{where}{why}.", Retryable: true), inner);
    }

    internal static SecureMessagingException SignedOut() =>
        new(new ErrorBody(ErrorCode.Unauthenticated, "The session is over. Sign in again.", Retryable: false));

    /// <summary>Reads a HubException, whose text ends in an <see cref="ErrorBody"/> as JSON (SignalR puts words of its own in front).</summary>
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
                // Words with a brace in them; the answer below holds.
            }
        }
        return new("The server failed.", exception);
    }
}
