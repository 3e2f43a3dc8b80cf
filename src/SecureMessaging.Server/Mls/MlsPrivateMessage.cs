using System.Buffers.Binary;

namespace SecureMessaging.Server.Mls;

/// <summary>The readable part of a PrivateMessage (RFC 9420 section 6.3): group, epoch and kind. The rest is encrypted.</summary>
internal readonly ref struct MlsPrivateMessage
{
    private const int RoomIdLength = 16;

    public ReadOnlySpan<byte> GroupId { get; private init; }

    public ulong Epoch { get; private init; }

    public MlsContentType Type { get; private init; }

    /// <summary>Reads a whole message; false for any other bytes, also when bytes follow it.</summary>
    public static bool TryRead(ReadOnlySpan<byte> message, out MlsPrivateMessage result)
    {
        result = default;
        if (!MlsMessage.TryOpen(message, WireFormat.PrivateMessage, out var reader)
            || !reader.TryReadVector(out var groupId)
            || !reader.TryReadUInt64(out var epoch)
            || !reader.TryReadByte(out var type)
            || !Enum.IsDefined((MlsContentType)type)
            || !reader.TrySkipVector()
            || !reader.TryReadVector(out var senderData)
            || !reader.TryReadVector(out var ciphertext)
            || !reader.IsAtEnd
            || senderData.IsEmpty
            || ciphertext.IsEmpty)
        {
            return false;
        }

        result = new MlsPrivateMessage { GroupId = groupId, Epoch = epoch, Type = (MlsContentType)type };
        return true;
    }

    /// <summary>
    /// The generation of the room's group. False: the message belongs to another room. A group id is the room's id and the generation.
    /// </summary>
    public bool TryGetGeneration(Guid roomId, out int generation)
    {
        generation = 0;
        if (GroupId.Length != RoomIdLength + sizeof(int) || new Guid(GroupId[..RoomIdLength], bigEndian: true) != roomId)
            return false;
        generation = BinaryPrimitives.ReadInt32BigEndian(GroupId[RoomIdLength..]);
        return generation >= 0;
    }
}
