using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using MessagePack;
using MessagePack.Formatters;

namespace SecureMessaging.Protocol;

/// <summary>Reads single values, more strictly than the library.</summary>
internal static class WireValues
{
    public static Guid ReadId(this ref MessagePackReader reader)
    {
        Span<byte> text = stackalloc byte[36];
        return CopyText(ref reader, text) == 36 && Utf8Parser.TryParse(text, out Guid id, out var used, 'D') && used == 36
            ? id
            : throw new MessagePackSerializationException("An id has 36 characters.");
    }

    public static void WriteId(this ref MessagePackWriter writer, Guid id)
    {
        writer.WriteStringHeader(36);
        id.TryFormat(writer.GetSpan(36), out _);
        writer.Advance(36);
    }

    public static DateTime ReadTime(this ref MessagePackReader reader)
    {
        try
        {
            return reader.ReadDateTime();
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw new MessagePackSerializationException("A time is out of range.", e);
        }
    }

    /// <summary>The library also accepts a string as bytes.</summary>
    public static byte[] ReadBin(this ref MessagePackReader reader) =>
        reader.NextMessagePackType == MessagePackType.Binary && reader.ReadBytes() is { } bytes
            ? bytes.ToArray()
            : throw new MessagePackSerializationException("Bytes were expected.");

    public static string ReadText(this ref MessagePackReader reader) =>
        reader.ReadString() ?? throw new MessagePackSerializationException("A string was expected.");

    public static T Read<T>(this ref MessagePackReader reader, MessagePackSerializerOptions options) =>
        options.Resolver.GetFormatterWithVerify<T>().Deserialize(ref reader, options);

    public static void Write<T>(this ref MessagePackWriter writer, T value, MessagePackSerializerOptions options) =>
        options.Resolver.GetFormatterWithVerify<T>().Serialize(ref writer, value, options);

    /// <summary>Copies a short string and returns its length; a longer one is skipped and counts as empty.</summary>
    internal static int CopyText(ref MessagePackReader reader, scoped Span<byte> buffer)
    {
        var text = reader.ReadStringSequence() ?? throw new MessagePackSerializationException("A string was expected.");
        if (text.Length > buffer.Length)
            return 0;
        text.CopyTo(buffer);
        return (int)text.Length;
    }
}

internal sealed class IdFormatter : IMessagePackFormatter<Guid>
{
    public void Serialize(ref MessagePackWriter writer, Guid value, MessagePackSerializerOptions options) => writer.WriteId(value);

    public Guid Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) => reader.ReadId();
}

internal sealed class TimeFormatter : IMessagePackFormatter<DateTime>
{
    public void Serialize(ref MessagePackWriter writer, DateTime value, MessagePackSerializerOptions options) => writer.Write(value);

    public DateTime Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) => reader.ReadTime();
}

internal sealed class BytesFormatter : IMessagePackFormatter<byte[]>
{
    public void Serialize(ref MessagePackWriter writer, byte[] value, MessagePackSerializerOptions options) => writer.Write(value);

    public byte[] Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) => reader.ReadBin();
}

internal sealed class TextFormatter : IMessagePackFormatter<string>
{
    public void Serialize(ref MessagePackWriter writer, string value, MessagePackSerializerOptions options) => writer.Write(value);

    public string Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) => reader.ReadText();
}

/// <summary>A hub method without a result answers nil, which SignalR's client reads as an object. Everything else is rejected.</summary>
internal sealed class NothingFormatter : IMessagePackFormatter<object?>
{
    public void Serialize(ref MessagePackWriter writer, object? value, MessagePackSerializerOptions options)
    {
        if (value is not null)
            throw new MessagePackSerializationException("The contract has no untyped values.");
        writer.WriteNil();
    }

    public object? Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) =>
        reader.TryReadNil() ? null : throw new MessagePackSerializationException("The contract has no untyped values.");
}

/// <summary>
/// Enum values by the names that the JSON uses; never numbers. An unknown name reads as <c>Unknown</c>; a strict reader rejects it.
/// </summary>
internal sealed class NameFormatter<T>(bool camelCase, bool strict) : IMessagePackFormatter<T>
    where T : struct, Enum
{
    private readonly T unknown = Enum.Parse<T>("Unknown");
    private readonly T[] values = Enum.GetValues<T>();
    private readonly byte[][] names = [.. Enum.GetNames<T>()
        .Select(name => System.Text.Encoding.UTF8.GetBytes(camelCase ? JsonNamingPolicy.CamelCase.ConvertName(name) : name))];

    public void Serialize(ref MessagePackWriter writer, T value, MessagePackSerializerOptions options)
    {
        var i = Array.IndexOf(values, value);
        writer.WriteString(i >= 0 ? names[i] : throw new MessagePackSerializationException("The contract does not know this value."));
    }

    public T Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        Span<byte> buffer = stackalloc byte[32];
        var name = buffer[..WireValues.CopyText(ref reader, buffer)];
        for (var i = 0; i < names.Length; i++)
        {
            if (name.SequenceEqual(names[i]) && !(strict && values[i].Equals(unknown)))
                return values[i];
        }
        return strict ? throw new MessagePackSerializationException("The contract does not know this name.") : unknown;
    }
}

/// <summary>Arrays grow while elements are read, so a header with a large number allocates nothing.</summary>
internal sealed class ListFormatter<T> : IMessagePackFormatter<T[]>
    where T : class
{
    public void Serialize(ref MessagePackWriter writer, T[] value, MessagePackSerializerOptions options)
    {
        writer.WriteArrayHeader(value.Length);
        var formatter = options.Resolver.GetFormatterWithVerify<T>();
        foreach (var item in value)
            formatter.Serialize(ref writer, item, options);
    }

    public T[] Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        if (reader.NextMessagePackType != MessagePackType.Array)
            throw new MessagePackSerializationException("An array was expected.");
        options.Security.DepthStep(ref reader);
        var formatter = options.Resolver.GetFormatterWithVerify<T>();
        var count = reader.ReadArrayHeader();
        var items = new List<T>(Math.Min(count, 64));
        for (var i = 0; i < count; i++)
            items.Add(formatter.Deserialize(ref reader, options));
        reader.Depth--;
        return [.. items];
    }
}
