using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using MessagePack;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// Seals committed entries for the other nodes, so that whoever can read Redis learns nothing from them and whoever can write to it cannot make any up: AES-256-GCM under a
/// key that only holders of the server's secret can derive, one for each process, with a counter as nonce (NIST SP 800-38D section 8.2.1). What is recorded and sent
/// again is at places in the log that are delivered already.
/// </summary>
internal sealed class BusSeal(ServerSecret secret, Guid node) : IDisposable
{
    private const int CounterLength = 8;
    private const int TagLength = 16;
    private const int FrameHeaderLength = 20;

    /// <summary>Nodes come and go, and anybody can make up their ids.</summary>
    private const int MaxSenders = 64;

    private readonly AesGcm own = Create(secret, node);
    private readonly ConcurrentDictionary<Guid, AesGcm> senders = new();
    private ulong counter;

    /// <summary>The body of a message. Called by one thread at a time.</summary>
    public byte[] Seal(IReadOnlyList<CommittedEntries> committed)
    {
        var plain = new ArrayBufferWriter<byte>(4096);
        foreach (var (roomId, entries) in committed)
        {
            var frame = MessagePackSerializer.Serialize(entries, WireMessagePack.Strict);
            var header = plain.GetSpan(FrameHeaderLength);
            roomId.TryWriteBytes(header);
            BinaryPrimitives.WriteInt32LittleEndian(header[16..], frame.Length);
            plain.Advance(FrameHeaderLength);
            plain.Write(frame);
        }

        var body = new byte[CounterLength + TagLength + plain.WrittenCount];
        BinaryPrimitives.WriteUInt64LittleEndian(body, ++counter);
        own.Encrypt(Nonce(body), plain.WrittenSpan, body.AsSpan(CounterLength + TagLength), body.AsSpan(CounterLength, TagLength));
        return body;
    }

    /// <summary>False when no node of ours has sealed it. Called by one thread at a time.</summary>
    public bool TryOpen(Guid sender, ReadOnlySpan<byte> body, [NotNullWhen(true)] out List<CommittedEntries>? committed)
    {
        committed = null;
        if (body.Length < CounterLength + TagLength)
            return false;
        if (senders.Count >= MaxSenders)
            Forget();
        var key = senders.GetOrAdd(sender, static (id, secret) => Create(secret, id), secret);
        var plain = new byte[body.Length - CounterLength - TagLength];
        try
        {
            key.Decrypt(Nonce(body), body[(CounterLength + TagLength)..], body.Slice(CounterLength, TagLength), plain);
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }

        committed = [];
        for (var rest = plain.AsMemory(); rest.Length > 0;)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(rest.Span[16..]);
            committed.Add(new CommittedEntries(
                new Guid(rest.Span[..16]), MessagePackSerializer.Deserialize<LogEntry[]>(rest.Slice(FrameHeaderLength, length), WireMessagePack.Strict)));
            rest = rest[(FrameHeaderLength + length)..];
        }

        return true;
    }

    public void Dispose()
    {
        own.Dispose();
        Forget();
    }

    private void Forget()
    {
        foreach (var id in senders.Keys)
        {
            if (senders.TryRemove(id, out var key))
                key.Dispose();
        }
    }

    private static AesGcm Create(ServerSecret secret, Guid node) => new(secret.DeriveKey(string.Create(CultureInfo.InvariantCulture, $"node-bus/{node}")), TagLength);

    private static byte[] Nonce(ReadOnlySpan<byte> body)
    {
        var nonce = new byte[12];
        body[..CounterLength].CopyTo(nonce);
        return nonce;
    }
}
