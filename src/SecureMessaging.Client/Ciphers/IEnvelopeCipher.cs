using System.Security.Cryptography;

namespace SecureMessaging.Client;

/// <summary>
/// What stands between an application's messages and the server. <see cref="SharedKeyCipher"/> is the simple one; an MLS group is another.
/// Calls may come from several threads at once.
/// </summary>
public interface IEnvelopeCipher
{
    /// <summary>Seals a message. Called once for each message, before it is queued: retries send the same bytes.</summary>
    /// <param name="roomId">The room it is for.</param>
    /// <param name="context">What goes with the content.</param>
    /// <param name="plaintext">The content.</param>
    /// <returns>At most <see cref="Protocol.Limits.CiphertextBytes"/> bytes.</returns>
    /// <exception cref="CryptographicException">There is no key for the room.</exception>
    /// <exception cref="ArgumentException">The content is too long.</exception>
    byte[] Seal(Guid roomId, EnvelopeContext context, ReadOnlySpan<byte> plaintext);

    /// <summary>Opens an envelope. The same one may come twice, after a crash.</summary>
    /// <param name="roomId">The room it came in.</param>
    /// <param name="messageId">The id under which the server keeps it.</param>
    /// <param name="envelope">Bytes from the server: hostile until they prove otherwise.</param>
    /// <exception cref="CryptographicException">It cannot be opened. The message is shown to the application with the event.</exception>
    OpenedEnvelope Open(Guid roomId, Guid messageId, ReadOnlySpan<byte> envelope);
}

/// <summary>What is sealed together with a message's content.</summary>
/// <param name="MessageId">The client message id, to which the envelope is bound.</param>
/// <param name="SenderId">The sender's account.</param>
/// <param name="SenderName">The sender's username.</param>
/// <param name="SentAt">The sender's clock.</param>
public sealed record EnvelopeContext(Guid MessageId, Guid SenderId, string SenderName, DateTimeOffset SentAt);

/// <summary>What was inside an envelope. How far the sender can be trusted is the cipher's to say.</summary>
/// <param name="SenderId">The sender's account.</param>
/// <param name="SenderName">The sender's username. Text from a peer: neutralise it before showing it.</param>
/// <param name="SentAt">The sender's clock; orders nothing.</param>
/// <param name="Content">The content.</param>
public sealed record OpenedEnvelope(Guid SenderId, string SenderName, DateTimeOffset SentAt, byte[] Content);
