using System.Buffers;
using System.Buffers.Binary;
using System.Net.WebSockets;
using System.Runtime.InteropServices;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>The type of a frame (RFC 6455 section 11.8).</summary>
internal enum WebSocketOpcode : byte
{
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xA,
}

/// <summary>A control frame (RFC 6455 section 5.5).</summary>
internal readonly record struct WebSocketControl(WebSocketOpcode Opcode, byte[] Payload);

/// <summary>
/// The server's side of RFC 6455 section 5: parses input in pieces of any size. Sent frames are never masked, so all recipients of a message get the
/// same bytes. Not thread-safe.
/// </summary>
internal sealed class WebSocketFrames
{
    public const int MaxHeaderBytes = 10;

    private const int MaxMaskedHeaderBytes = 14;
    private const int MaxControlBytes = 125;
    private const byte Final = 0x80;
    private const byte Masked = 0x80;
    private const byte Reserved = 0x70;

    // Of the current frame: the remaining payload bytes, and the mask, rotated to begin with the next byte.
    private long left;
    private uint mask;

    private bool goesOn;

    public static int WriteHeader(Span<byte> header, WebSocketOpcode opcode, int length)
    {
        header[0] = (byte)(Final | (byte)opcode);
        switch (length)
        {
            case < 126:
                header[1] = (byte)length;
                return 2;
            case <= ushort.MaxValue:
                header[1] = 126;
                BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)length);
                return 4;
            default:
                header[1] = 127;
                BinaryPrimitives.WriteUInt64BigEndian(header[2..], (ulong)length);
                return 10;
        }
    }

    /// <summary>
    /// Consumes input and writes message payloads without message boundaries, which the hub protocols have themselves. Stops after each control
    /// frame; false when more input is needed.
    /// </summary>
    /// <exception cref="WebSocketException">The client violates the protocol.</exception>
    public bool TryReadControl(ref ReadOnlySequence<byte> input, IBufferWriter<byte> messages, out WebSocketControl control)
    {
        control = default;
        while (true)
        {
            ReadPayload(ref input, messages);
            if (left > 0 || !TryReadHeader(input, out var header))
                return false;
            if (header.IsControl)
            {
                var end = header.Bytes + header.Length;
                if (input.Length < end)
                    return false;
                var payload = input.Slice(header.Bytes, header.Length).ToArray();
                Unmask(payload, payload, header.Mask);
                input = input.Slice(end);
                control = new WebSocketControl(header.Opcode, payload);
                return true;
            }

            input = input.Slice(header.Bytes);
            (left, mask, goesOn) = (header.Length, header.Mask, !header.IsFinal);
        }
    }

    private void ReadPayload(ref ReadOnlySequence<byte> input, IBufferWriter<byte> messages)
    {
        var taken = 0L;
        foreach (var segment in input)
        {
            var piece = segment.Span[..(int)Math.Min(segment.Length, left - taken)];
            if (piece.IsEmpty)
                continue;
            Unmask(piece, messages.GetSpan(piece.Length), mask);
            messages.Advance(piece.Length);
            mask = Turn(mask, piece.Length);
            taken += piece.Length;
        }

        left -= taken;
        input = input.Slice(taken);
    }

    private bool TryReadHeader(in ReadOnlySequence<byte> input, out Header header)
    {
        header = default;
        Span<byte> bytes = stackalloc byte[MaxMaskedHeaderBytes];
        var available = (int)Math.Min(input.Length, bytes.Length);
        input.Slice(0, available).CopyTo(bytes);
        if (available < 2)
            return false;
        var opcode = (WebSocketOpcode)(bytes[0] & 0x0F);
        var isFinal = (bytes[0] & Final) != 0;
        var isControl = opcode >= WebSocketOpcode.Close;
        long length = bytes[1] & ~Masked;
        var isSound = (bytes[0] & Reserved) == 0 && (bytes[1] & Masked) != 0 && Enum.IsDefined(opcode)
            && (isControl
                ? isFinal && length <= MaxControlBytes && !(opcode == WebSocketOpcode.Close && length == 1)
                : (opcode == WebSocketOpcode.Continuation) == goesOn);
        if (!isSound)
            throw new WebSocketException(WebSocketError.Faulted, "A frame violates RFC 6455.");
        var lengthBytes = length switch { 126 => 2, 127 => 8, _ => 0 };
        if (available < 2 + lengthBytes + 4)
            return false;
        if (lengthBytes > 0)
            length = lengthBytes == 2 ? BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]) : BinaryPrimitives.ReadInt64BigEndian(bytes[2..]);
        if (lengthBytes > 0 && length <= (lengthBytes == 2 ? MaxControlBytes : ushort.MaxValue))
            throw new WebSocketException(WebSocketError.Faulted, "A frame's length is negative, or not in its shortest form.");
        header = new Header(opcode, isFinal, isControl, length, MemoryMarshal.Read<uint>(bytes[(2 + lengthBytes)..]), 2 + lengthBytes + 4);
        return true;
    }

    /// <summary>RFC 6455 section 5.3.</summary>
    private static void Unmask(ReadOnlySpan<byte> masked, Span<byte> target, uint mask)
    {
        var eight = (ulong)mask << 32 | mask;
        var from = MemoryMarshal.Cast<byte, ulong>(masked);
        var to = MemoryMarshal.Cast<byte, ulong>(target);
        for (var i = 0; i < from.Length; i++)
            to[i] = from[i] ^ eight;
        var four = MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in mask));
        for (var i = from.Length * sizeof(ulong); i < masked.Length; i++)
            target[i] = (byte)(masked[i] ^ four[i % sizeof(uint)]);
    }

    private static uint Turn(uint mask, int bytes)
    {
        var bits = bytes % sizeof(uint) * 8;
        return BitConverter.IsLittleEndian ? uint.RotateRight(mask, bits) : uint.RotateLeft(mask, bits);
    }

    private readonly record struct Header(WebSocketOpcode Opcode, bool IsFinal, bool IsControl, long Length, uint Mask, int Bytes);
}
