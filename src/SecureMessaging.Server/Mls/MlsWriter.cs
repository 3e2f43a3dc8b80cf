using System.Buffers;
using System.Buffers.Binary;

namespace SecureMessaging.Server.Mls;

/// <summary>Writes the input of hashes and signatures (RFC 9420 section 2.1).</summary>
internal sealed class MlsWriter
{
    private readonly ArrayBufferWriter<byte> buffer = new();

    public ReadOnlySpan<byte> Written => buffer.WrittenSpan;

    public void WriteUInt16(ushort value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(buffer.GetSpan(sizeof(ushort)), value);
        buffer.Advance(sizeof(ushort));
    }

    public void WriteUInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(buffer.GetSpan(sizeof(ulong)), value);
        buffer.Advance(sizeof(ulong));
    }

    public void WriteByte(byte value) => buffer.Write([value]);

    public void WriteBytes(ReadOnlySpan<byte> bytes) => buffer.Write(bytes);

    /// <summary>A vector with its length in the shortest form before it (RFC 9420 section 2.1.2).</summary>
    public void WriteVector(ReadOnlySpan<byte> content)
    {
        var span = buffer.GetSpan(sizeof(uint));
        switch (content.Length)
        {
            case <= 0x3F:
                span[0] = (byte)content.Length;
                buffer.Advance(1);
                break;
            case <= 0x3FFF:
                BinaryPrimitives.WriteUInt16BigEndian(span, (ushort)(0x4000 | content.Length));
                buffer.Advance(2);
                break;
            default:
                BinaryPrimitives.WriteUInt32BigEndian(span, 0x8000_0000 | (uint)content.Length);
                buffer.Advance(4);
                break;
        }

        buffer.Write(content);
    }
}
