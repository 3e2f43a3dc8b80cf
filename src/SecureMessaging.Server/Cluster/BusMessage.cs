using System.Buffers.Binary;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Encryption;

namespace SecureMessaging.Server.Cluster;

internal enum BusMessageKind : byte
{
    /// <summary>A ping. Redis returns it to its sender while the bus works.</summary>
    Ping = 0,

    /// <summary>The newest sequence numbers of rooms.</summary>
    Heads = 1,

    /// <summary>A user joined a room.</summary>
    Joined = 2,

    /// <summary>A room was deleted.</summary>
    RoomDeleted = 3,

    /// <summary>A session ended.</summary>
    SessionEnded = 4,

    /// <summary>An ephemeral signal.</summary>
    Signal = 5,

    /// <summary>A device should upload KeyPackages or fetch Welcomes; ephemeral.</summary>
    DeviceHint = 6,

    /// <summary>Committed entries, sealed by <see cref="BusSeal"/>.</summary>
    Entries = 7,
}

/// <summary>
/// The messages between nodes: 1 byte of kind, 16 bytes of sender id, then fields of fixed size. Correctness does not depend on them: a lost or unreadable
/// message costs time only.
/// </summary>
internal static class BusMessage
{
    private const int HeaderLength = 17;
    private const int HeadLength = 24;
    private const int DeviceHintLength = 36;

    public static byte[] Ping(Guid node) => Create(BusMessageKind.Ping, node, 0);

    public static byte[] Heads(Guid node, IReadOnlyCollection<KeyValuePair<Guid, long>> heads)
    {
        var message = Create(BusMessageKind.Heads, node, heads.Count * HeadLength);
        var rest = message.AsSpan(HeaderLength);
        foreach (var (roomId, seq) in heads)
        {
            Write(rest, roomId, seq);
            rest = rest[HeadLength..];
        }

        return message;
    }

    public static byte[] Entries(Guid node, ReadOnlySpan<byte> sealedEntries)
    {
        var message = Create(BusMessageKind.Entries, node, sealedEntries.Length);
        sealedEntries.CopyTo(message.AsSpan(HeaderLength));
        return message;
    }

    public static byte[] Joined(Guid node, Guid roomId, Guid userId, long seq)
    {
        var message = Create(BusMessageKind.Joined, node, HeadLength + 16);
        Write(message.AsSpan(HeaderLength), roomId, seq);
        userId.TryWriteBytes(message.AsSpan(HeaderLength + HeadLength));
        return message;
    }

    public static byte[] RoomDeleted(Guid node, Guid roomId)
    {
        var message = Create(BusMessageKind.RoomDeleted, node, 16);
        roomId.TryWriteBytes(message.AsSpan(HeaderLength));
        return message;
    }

    public static byte[] SessionEnded(Guid node, Guid sessionId, SessionEndReason reason)
    {
        var message = Create(BusMessageKind.SessionEnded, node, 17);
        sessionId.TryWriteBytes(message.AsSpan(HeaderLength));
        message[^1] = (byte)reason;
        return message;
    }

    public static byte[] Signal(Guid node, Guid roomId, ReadOnlySpan<byte> signal)
    {
        var message = Create(BusMessageKind.Signal, node, 16 + signal.Length);
        roomId.TryWriteBytes(message.AsSpan(HeaderLength));
        signal.CopyTo(message.AsSpan(HeaderLength + 16));
        return message;
    }

    public static byte[] DeviceHint(Guid node, DeviceHint hint)
    {
        var message = Create(BusMessageKind.DeviceHint, node, DeviceHintLength);
        hint.UserId.TryWriteBytes(message.AsSpan(HeaderLength));
        hint.DeviceId.TryWriteBytes(message.AsSpan(HeaderLength + 16));
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(HeaderLength + 32), hint.Available ?? -1);
        return message;
    }

    public static DeviceHint ReadDeviceHint(ReadOnlySpan<byte> body)
    {
        var available = BinaryPrimitives.ReadInt32LittleEndian(body[32..]);
        return new DeviceHint(new Guid(body[..16]), new Guid(body.Slice(16, 16)), available < 0 ? null : available);
    }

    public static bool TryReadHeader(ReadOnlySpan<byte> message, out BusMessageKind kind, out Guid node, out ReadOnlySpan<byte> body)
    {
        kind = default;
        node = default;
        body = default;
        if (message.Length < HeaderLength)
            return false;
        kind = (BusMessageKind)message[0];
        node = new Guid(message.Slice(1, 16));
        body = message[HeaderLength..];
        return kind switch
        {
            BusMessageKind.Ping or BusMessageKind.Entries => true,
            BusMessageKind.Heads => body.Length % HeadLength == 0,
            BusMessageKind.Joined => body.Length == HeadLength + 16,
            BusMessageKind.RoomDeleted => body.Length == 16,
            BusMessageKind.SessionEnded => body.Length == 17,
            BusMessageKind.Signal => body.Length > 16,
            BusMessageKind.DeviceHint => body.Length == DeviceHintLength,
            _ => false,
        };
    }

    public static (Guid RoomId, long Seq) ReadHead(ref ReadOnlySpan<byte> body)
    {
        var head = (new Guid(body[..16]), BinaryPrimitives.ReadInt64LittleEndian(body[16..]));
        body = body[HeadLength..];
        return head;
    }

    private static byte[] Create(BusMessageKind kind, Guid node, int bodyLength)
    {
        var message = new byte[HeaderLength + bodyLength];
        message[0] = (byte)kind;
        node.TryWriteBytes(message.AsSpan(1));
        return message;
    }

    private static void Write(Span<byte> target, Guid roomId, long seq)
    {
        roomId.TryWriteBytes(target);
        BinaryPrimitives.WriteInt64LittleEndian(target[16..], seq);
    }
}
