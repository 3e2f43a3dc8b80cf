using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.Cluster;

/// <summary>
/// Encrypts the messages of one node process for the others: Redis sees no content, and an attacker with write access to Redis cannot forge messages.
/// </summary>
/// <remarks>
/// 1. AES-256-GCM. The key is derived from the server's secret, the purpose and the id of the sending process, which is new at each start. The nonce is a
/// counter (NIST SP 800-38D section 8.2.1).
/// 2. A message opens once: its counter must be higher than that of every earlier message of its sender. Redis keeps the order of one sender.
/// 3. A process that has just started knows no counters. A message that must not be replayed to it has its receiver in the associated data.
/// </remarks>
internal sealed class NodeSeal(ServerSecret secret, string purpose, Guid node) : IDisposable
{
    private const int CounterLength = 8;
    private const int TagLength = 16;

    private readonly AesGcm own = Create(secret, purpose, node);

    /// <summary>Grows by one entry for each start of a node. Ids that an attacker invents are not added.</summary>
    private readonly Dictionary<Guid, Sender> senders = [];
    private ulong counter;

    /// <summary>Called by one thread at a time, in the order in which the results are sent.</summary>
    public byte[] Seal(ReadOnlySpan<byte> plain, ReadOnlySpan<byte> associated = default)
    {
        var body = new byte[CounterLength + TagLength + plain.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(body, ++counter);
        own.Encrypt(Nonce(body), plain, body.AsSpan(CounterLength + TagLength), body.AsSpan(CounterLength, TagLength), associated);
        return body;
    }

    /// <summary>False for a message that the sender did not seal for this purpose and this associated data, and for a replay.</summary>
    public bool TryOpen(Guid sender, ReadOnlySpan<byte> body, [NotNullWhen(true)] out byte[]? plain, ReadOnlySpan<byte> associated = default)
    {
        plain = null;
        if (body.Length < CounterLength + TagLength)
            return false;
        var number = BinaryPrimitives.ReadUInt64LittleEndian(body);
        lock (senders)
        {
            if (senders.TryGetValue(sender, out var known) && number <= known.LastCounter)
                return false;
            var key = known?.Key ?? Create(secret, purpose, sender);
            var opened = new byte[body.Length - CounterLength - TagLength];
            try
            {
                key.Decrypt(Nonce(body), body[(CounterLength + TagLength)..], body.Slice(CounterLength, TagLength), opened, associated);
            }
            catch (AuthenticationTagMismatchException)
            {
                if (known is null)
                    key.Dispose();
                return false;
            }

            if (known is null)
                senders.Add(sender, known = new Sender(key));
            known.LastCounter = number;
            plain = opened;
            return true;
        }
    }

    public void Dispose()
    {
        own.Dispose();
        lock (senders)
        {
            foreach (var sender in senders.Values)
                sender.Key.Dispose();
            senders.Clear();
        }
    }

    private static AesGcm Create(ServerSecret secret, string purpose, Guid node) =>
        new(secret.DeriveKey(string.Create(CultureInfo.InvariantCulture, $"{purpose}/{node}")), TagLength);

    private static byte[] Nonce(ReadOnlySpan<byte> body)
    {
        var nonce = new byte[12];
        body[..CounterLength].CopyTo(nonce);
        return nonce;
    }

    private sealed class Sender(AesGcm key)
    {
        public AesGcm Key => key;

        public ulong LastCounter { get; set; }
    }
}
