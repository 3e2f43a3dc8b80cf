using System.Buffers.Binary;

namespace SecureMessaging.Server.Mls;

/// <summary>What a server can read of a PrivateMessage (RFC 9420 section 6.3): which group, which epoch, which kind. The rest is encrypted.</summary>
internal readonly ref struct MlsPrivateMessage
{
    private const int RoomIdLength = 16;

    public ReadOnlySpan<byte> GroupId { get; private init; }

    public ulong Epoch { get; private init; }

    public ContentType Type { get; private init; }

    /// <summary>Reads a whole message; false when it is anything else, or anything follows it.</summary>
    public static bool TryRead(ReadOnlySpan<byte> message, out MlsPrivateMessage result)
    {
        result = default;
        if (!MlsMessage.TryOpen(message, WireFormat.PrivateMessage, out var reader)
            || !reader.TryReadVector(out var groupId)
            || !reader.TryReadUInt64(out var epoch)
            || !reader.TryReadByte(out var type)
            || !Enum.IsDefined((ContentType)type)
            || !reader.TrySkipVector()
            || !reader.TryReadVector(out var senderData)
            || !reader.TryReadVector(out var ciphertext)
            || !reader.IsAtEnd
            || senderData.IsEmpty
            || ciphertext.IsEmpty)
        {
            return false;
        }

        result = new MlsPrivateMessage { GroupId = groupId, Epoch = epoch, Type = (ContentType)type };
        return true;
    }

    /// <summary>The generation of the room's group that the message belongs to; false when it belongs to another room. A group's id is the room's and the generation.</summary>
    public bool TryGetGeneration(Guid roomId, out int generation)
    {
        generation = 0;
        if (GroupId.Length != RoomIdLength + sizeof(int) || new Guid(GroupId[..RoomIdLength], bigEndian: true) != roomId)
            return false;
        generation = BinaryPrimitives.ReadInt32BigEndian(GroupId[RoomIdLength..]);
        return generation >= 0;
    }
}
