using System.Buffers.Binary;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.History;

/// <summary>The ciphertext of a send: who, which, and filler that differs from send to send.</summary>
internal static class Payload
{
    private const uint Mark = 0x5F41_554C;

    public static byte[] Create(int sender, int counter, int length, Random random)
    {
        var bytes = new byte[Math.Max(16, length)];
        random.NextBytes(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Mark);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), sender);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), counter);
        return bytes;
    }

    /// <summary>Sender and counter, or -1 when the bytes are none of ours.</summary>
    public static (int Sender, int Counter) Parse(byte[]? bytes) =>
        bytes is { Length: >= 16 } && BinaryPrimitives.ReadUInt32LittleEndian(bytes) == Mark
            ? (BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4)), BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(8)))
            : (-1, -1);

    /// <summary>FNV-1a of everything in an entry that must be the same for all who see it.</summary>
    public static ulong Hash(LogEntry entry) => Hash(entry.Ciphertext, entry.UserId);

    public static ulong Hash(byte[]? ciphertext, Guid? about = null)
    {
        var hash = 14695981039346656037UL;
        foreach (var value in ciphertext ?? [])
            hash = (hash ^ value) * 1099511628211UL;
        foreach (var value in about?.ToByteArray() ?? [])
            hash = (hash ^ value) * 1099511628211UL;
        return hash;
    }
}
