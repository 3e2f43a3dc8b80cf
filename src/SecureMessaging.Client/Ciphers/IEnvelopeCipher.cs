using System.Security.Cryptography;

namespace SecureMessaging.Client;

/// <summary>
/// Encrypts an application's messages before the server gets them. <see cref="SharedKeyCipher"/> is the simple implementation; an MLS group is another.
/// Implementations are thread-safe.
/// </summary>
public interface IEnvelopeCipher
{
    /// <summary>Encrypts a message. Called once for each message, before it is queued: retries send the same bytes.</summary>
    /// <param name="roomId">The room.</param>
    /// <param name="context">The data that is encrypted with the content.</param>
    /// <param name="plaintext">The content.</param>
    /// <returns>At most <see cref="Protocol.Limits.CiphertextBytes"/> bytes.</returns>
    /// <exception cref="CryptographicException">There is no key for the room.</exception>
    /// <exception cref="ArgumentException">The content is too long.</exception>
    byte[] Seal(Guid roomId, EnvelopeContext context, ReadOnlySpan<byte> plaintext);

    /// <summary>Decrypts an envelope. After a crash the same one can be decrypted again.</summary>
    /// <param name="roomId">The room of the envelope.</param>
    /// <param name="messageId">The id of the entry.</param>
    /// <param name="envelope">Bytes from the server, possibly hostile.</param>
    /// <exception cref="CryptographicException">It cannot be decrypted. The application gets the message of the exception with the event.</exception>
    OpenedEnvelope Open(Guid roomId, Guid messageId, ReadOnlySpan<byte> envelope);
}

/// <summary>The data that is encrypted with a message's content.</summary>
/// <param name="MessageId">The client message id, to which the envelope is bound.</param>
/// <param name="SenderId">The sender's account.</param>
/// <param name="SenderName">The sender's username.</param>
/// <param name="SentAt">The time by the sender's clock.</param>
public sealed record EnvelopeContext(Guid MessageId, Guid SenderId, string SenderName, DateTimeOffset SentAt);

/// <summary>The content of an envelope. The cipher defines how far the sender can be trusted.</summary>
/// <param name="SenderId">The sender's account.</param>
/// <param name="SenderName">The sender's username. Text of another person: neutralise it before display.</param>
/// <param name="SentAt">The time by the sender's clock. Never order by it.</param>
/// <param name="Content">The content.</param>
public sealed record OpenedEnvelope(Guid SenderId, string SenderName, DateTimeOffset SentAt, byte[] Content);
