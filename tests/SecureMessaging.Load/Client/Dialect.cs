using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace SecureMessaging.Load.Client;

/// <summary>
/// The least of the SignalR hub protocols (MessagePack or JSON) that a client can do with: one kind of invocation, built once and patched for each send, and
/// answers that are looked at no further than needed.
/// </summary>
/// <remarks>
/// A payload begins with a mark of 12 digits and the microsecond of its sending in 12 more, which is how a delivery is found without decoding what is
/// around it.
/// Digits, because their base64 has no character that a JSON writer would escape, and 12 of them because that is a whole number of base64 quanta.
/// </remarks>
internal sealed class Dialect
{
    private const int MarkLength = 12;
    private const int IdDigits = 8;
    private const int UuidLength = 36;
    private static readonly byte[] Mark = "314159265358"u8.ToArray();
    private static readonly byte[] MarkInBase64 = Encoding.ASCII.GetBytes(Convert.ToBase64String(Mark));

    private readonly byte[] template;
    private readonly int idAt;
    private readonly int uuidAt;
    private readonly int timeAt;
    private readonly byte[] mark;

    /// <param name="json">JSON, or MessagePack.</param>
    /// <param name="room">Where its messages go.</param>
    /// <param name="isBare">The bare hub's Send(room, bytes). Else SecureMessaging's Send(SendRequest).</param>
    /// <param name="payloadBytes">How long an envelope is.</param>
    public Dialect(bool json, string room, bool isBare, int payloadBytes)
    {
        Json = json;
        mark = json ? MarkInBase64 : Mark;
        var payload = new byte[payloadBytes];
        payload.AsSpan().Fill((byte)'x');
        Mark.CopyTo(payload, 0);
        "000000000000"u8.CopyTo(payload.AsSpan(MarkLength));
        var body = json ? JsonBody(room, isBare, payload) : PackedBody(room, isBare, payload);
        template = Frame(json ? body : [.. VarInt(body.Length), .. body]);
        idAt = Find(json ? "\"invocationId\":\""u8 : [0x80, 0xA0 | IdDigits]);
        uuidAt = isBare ? -1 : Find(json ? "\"clientMessageId\":\""u8 : [.. "clientMessageId"u8, 0xD9, UuidLength]);
        timeAt = Find(mark);
    }

    public bool Json { get; }

    public int Length => template.Length;

    /// <summary>The first message on a connection, in a frame.</summary>
    public static byte[] Handshake(bool json) =>
        Frame(Encoding.ASCII.GetBytes($"{{\"protocol\":\"{(json ? "json" : "messagepack")}\",\"version\":1}}\u001e"));

    /// <summary>An invocation without a payload, such as Heads.</summary>
    public static byte[] Call(bool json, int id, string method, params object[] arguments)
    {
        if (json)
        {
            var list = string.Join(',', arguments.Select(argument => argument is long number ? number.ToString(CultureInfo.InvariantCulture)
                : $"\"{argument}\""));
            return Frame(Encoding.ASCII.GetBytes($"{{\"type\":1,\"invocationId\":\"{id:D8}\",\"target\":\"{method}\",\"arguments\":[{list}]}}\u001e"));
        }

        var body = new List<byte> { 0x96, 1, 0x80 };
        body.AddRange(Text(id.ToString("D8", CultureInfo.InvariantCulture)));
        body.AddRange(Text(method));
        body.Add((byte)(0x90 | arguments.Length));
        foreach (var argument in arguments)
            body.AddRange(argument is long number ? Number(number) : Text(argument.ToString()!));
        body.Add(0x90);
        return Frame([.. VarInt(body.Count), .. body]);
    }

    /// <summary>Writes the next send into the buffer, which is <see cref="Length"/> long.</summary>
    public void Write(Span<byte> buffer, int id, ulong high, ulong low, long microseconds)
    {
        template.CopyTo(buffer);
        Digits(buffer.Slice(idAt, IdDigits), id);
        if (uuidAt >= 0)
        {
            Span<byte> uuid = stackalloc byte[16];
            BinaryPrimitives.WriteUInt64BigEndian(uuid, (high & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000);
            BinaryPrimitives.WriteUInt64BigEndian(uuid[8..], (low & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000);
            new Guid(uuid, bigEndian: true).TryFormat(buffer.Slice(uuidAt, UuidLength), out _);
        }

        Span<byte> time = stackalloc byte[MarkLength];
        Digits(time, microseconds);
        if (Json)
            Base64.EncodeToUtf8(time, buffer[timeAt..], out _, out _);
        else
            time.CopyTo(buffer[timeAt..]);
    }

    /// <summary>Calls back for each delivery in a message, with the microsecond of its sending.</summary>
    public void Deliveries<T>(ReadOnlySpan<byte> message, T state, Action<T, long> found)
    {
        Span<byte> decoded = stackalloc byte[MarkLength];
        while (message.IndexOf(mark) is >= 0 and var at)
        {
            message = message[(at + mark.Length)..];
            if (Json)
            {
                Base64.DecodeFromUtf8(message[..16], decoded, out _, out _);
                found(state, Number(decoded));
            }
            else
            {
                found(state, Number(message[..MarkLength]));
            }
        }
    }

    /// <summary>The kind of a hub message: 1 invocation, 3 completion, 6 ping, 7 close.</summary>
    public int Kind(ReadOnlySpan<byte> message) => Json ? message["{\"type\":"u8.Length] - '0' : message[1];

    /// <summary>Which call a completion answers, and whether with an error.</summary>
    public (int Id, bool Failed) Completion(ReadOnlySpan<byte> message)
    {
        if (Json)
        {
            var at = message.IndexOf("\"invocationId\":\""u8) + "\"invocationId\":\""u8.Length;
            return ((int)Number(message.Slice(at, IdDigits)), message[(at + IdDigits)..].StartsWith("\",\"error\""u8));
        }

        return ((int)Number(message.Slice(4, IdDigits)), message[4 + IdDigits] == 1);
    }

    private static byte[] JsonBody(string room, bool isBare, byte[] payload)
    {
        var bytes = Convert.ToBase64String(payload);
        var arguments = isBare ? $"\"{room}\",\"{bytes}\"" : $"{{\"roomId\":\"{room}\",\"clientMessageId\":\"{Guid.Empty}\",\"ciphertext\":\"{bytes}\"}}";
        return Encoding.ASCII.GetBytes($"{{\"type\":1,\"invocationId\":\"00000000\",\"target\":\"Send\",\"arguments\":[{arguments}]}}\u001e");
    }

    private static byte[] PackedBody(string room, bool isBare, byte[] payload)
    {
        byte[] bytes = [0xC5, (byte)(payload.Length >> 8), (byte)payload.Length, .. payload];
        byte[] arguments = isBare ? [0x92, .. Text(room), .. bytes] :
            [0x91, 0x83, .. Text("roomId"), .. Text(room), .. Text("clientMessageId"), .. Text(Guid.Empty.ToString()),
                .. Text("ciphertext"), .. bytes];
        return [0x96, 1, 0x80, .. Text("00000000"), .. Text("Send"), .. arguments, 0x90];
    }

    /// <summary>A masked frame (RFC 6455 section 5.2) with a mask of zeros, so that the payload stands as it is.</summary>
    private static byte[] Frame(ReadOnlySpan<byte> payload) => payload.Length < 126
        ? [0x82, (byte)(0x80 | payload.Length), 0, 0, 0, 0, .. payload]
        : [0x82, 0xFE, (byte)(payload.Length >> 8), (byte)payload.Length, 0, 0, 0, 0, .. payload];

    private static byte[] Text(string text) =>
        text.Length < 32 ? [(byte)(0xA0 | text.Length), .. Encoding.ASCII.GetBytes(text)] : [0xD9, (byte)text.Length, .. Encoding.ASCII.GetBytes(text)];

    private static byte[] Number(long number)
    {
        var bytes = new byte[9];
        bytes[0] = 0xD3;
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(1), number);
        return bytes;
    }

    private static byte[] VarInt(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
            bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return [.. bytes];
    }

    private static long Number(ReadOnlySpan<byte> digits)
    {
        var value = 0L;
        foreach (var digit in digits)
            value = (value * 10) + (digit - '0');
        return value;
    }

    private static void Digits(Span<byte> buffer, long value)
    {
        for (var i = buffer.Length - 1; i >= 0; i--)
        {
            buffer[i] = (byte)('0' + (value % 10));
            value /= 10;
        }
    }

    private int Find(ReadOnlySpan<byte> what) => template.AsSpan().IndexOf(what) is >= 0 and var at
        ? at + what.Length
        : throw new InvalidOperationException("The template lacks a field.");
}
