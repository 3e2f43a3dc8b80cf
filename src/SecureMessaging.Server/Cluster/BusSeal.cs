using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using MessagePack;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Keys;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Cluster;

/// <summary>Seals committed entries for the other nodes. A replay to a process that has just started is harmless: delivery skips entries that it has.</summary>
internal sealed class BusSeal(ServerSecret secret, Guid node) : IDisposable
{
    private const int FrameHeaderLength = 20;

    private readonly NodeSeal seal = new(secret, "node-bus", node);

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

        return seal.Seal(plain.WrittenSpan);
    }

    /// <summary>False: no node sealed it, or it is a replay.</summary>
    public bool TryOpen(Guid sender, ReadOnlySpan<byte> body, [NotNullWhen(true)] out List<CommittedEntries>? committed)
    {
        committed = null;
        if (!seal.TryOpen(sender, body, out var plain))
            return false;
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

    public void Dispose() => seal.Dispose();
}
