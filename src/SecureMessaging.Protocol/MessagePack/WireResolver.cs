using System.Collections.Frozen;
using MessagePack;
using MessagePack.Formatters;

// This folder is compiled into the server and into the SDK, not into the Protocol assembly, which has no dependencies.
namespace SecureMessaging.Protocol;

/// <summary>
/// The records of the contract as MessagePack. Only these types can be read (nothing typeless, dynamic or contractless), so that no payload chooses
/// the type that is created.
/// </summary>
internal static class WireMessagePack
{
    /// <summary>For clients: an unknown enum name becomes <c>Unknown</c>.</summary>
    public static MessagePackSerializerOptions Options { get; } = With(WireResolver.Tolerant);

    /// <summary>For the server: an unknown enum name, and <c>Unknown</c> itself, is rejected.</summary>
    public static MessagePackSerializerOptions Strict { get; } = With(WireResolver.Strict);

    private static MessagePackSerializerOptions With(WireResolver resolver) =>
        MessagePackSerializerOptions.Standard.WithResolver(resolver).WithSecurity(MessagePackSecurity.UntrustedData);
}

/// <summary>
/// Maps with the same keys and enum names as the JSON; ids as 36 characters, times as the timestamp extension, bytes as bin.
/// Unknown keys are skipped; a missing or repeated key, a wrong type, or nil where the contract has no null, is rejected.
/// </summary>
internal sealed class WireResolver : IFormatterResolver
{
    private readonly bool strict;

    private WireResolver(bool strict) => this.strict = strict;

    public static WireResolver Tolerant { get; } = new(strict: false);

    public static WireResolver Strict { get; } = new(strict: true);

    public IMessagePackFormatter<T>? GetFormatter<T>() => strict ? Cache<T>.Strict : Cache<T>.Tolerant;

    private static FrozenDictionary<Type, IMessagePackFormatter> Make(bool strict) => new IMessagePackFormatter[]
    {
        new SendRequestFormatter(), new SendAckFormatter(), new SendResultFormatter(), new ErrorBodyFormatter(), new FieldErrorFormatter(),
            new LogEntryFormatter(),
        new LogPageFormatter(), new RoomHeadFormatter(), new RoomSettingsFormatter(),
        new ListFormatter<SendRequest>(), new ListFormatter<SendAck>(), new ListFormatter<SendResult>(), new ListFormatter<LogEntry>(),
        new ListFormatter<RoomHead>(), new ListFormatter<FieldError>(),
        new NameFormatter<EntryKind>(camelCase: true, strict), new NameFormatter<RoomRole>(camelCase: true, strict),
        new NameFormatter<RoomChange>(camelCase: true, strict), new NameFormatter<SessionEndReason>(camelCase: true, strict),
        new NameFormatter<ErrorCode>(camelCase: false, strict),
        new IdFormatter(), new BytesFormatter(), new TextFormatter(), new TimeFormatter(), new NothingFormatter(),
        BooleanFormatter.Instance, Int32Formatter.Instance, Int64Formatter.Instance,
    }.ToFrozenDictionary(formatter => formatter.GetType().GetInterfaces()
        .First(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IMessagePackFormatter<>)).GenericTypeArguments[0]);

    private static class Formatters
    {
        public static readonly FrozenDictionary<Type, IMessagePackFormatter> Tolerant = Make(strict: false);
        public static readonly FrozenDictionary<Type, IMessagePackFormatter> Strict = Make(strict: true);
    }

    private static class Cache<T>
    {
        public static readonly IMessagePackFormatter<T>? Tolerant = (IMessagePackFormatter<T>?)Formatters.Tolerant.GetValueOrDefault(typeof(T));
        public static readonly IMessagePackFormatter<T>? Strict = (IMessagePackFormatter<T>?)Formatters.Strict.GetValueOrDefault(typeof(T));
    }
}

/// <summary>The keys of one record, encoded once.</summary>
internal sealed class WireKeys(params string[] names)
{
    private readonly byte[][] raw = [.. names.Select(System.Text.Encoding.UTF8.GetBytes)];

    // Written by hand: this can run inside a serialization, and the serializer would share its buffer.
    private readonly byte[][] encoded = [.. names.Select(name =>
        (byte[])[(byte)(MessagePackCode.MinFixStr + name.Length), .. System.Text.Encoding.UTF8.GetBytes(name)])];

    public int Count => raw.Length;

    public void Write(ref MessagePackWriter writer, int key) => writer.WriteRaw(encoded[key]);

    /// <summary>The key's number, or -1. Writers keep the order, so the expected one is tried first.</summary>
    public int Find(ReadOnlySpan<byte> name, int expected)
    {
        if ((uint)expected < (uint)raw.Length && name.SequenceEqual(raw[expected]))
            return expected;
        for (var i = 0; i < raw.Length; i++)
        {
            if (name.SequenceEqual(raw[i]))
                return i;
        }
        return -1;
    }

    public string Name(int key) => System.Text.Encoding.UTF8.GetString(raw[key]);
}

/// <summary>Walks through one map: finds known keys, skips others, rejects repeated and missing ones.</summary>
internal struct WireMap
{
    private readonly WireKeys keys;
    private int left;
    private int expected;
    private uint seen;

    /// <summary>Starts before the first key. Nested maps are counted, so that no input is nested deeper than the options allow.</summary>
    public WireMap(ref MessagePackReader reader, MessagePackSerializerOptions options, WireKeys keys)
    {
        if (reader.NextMessagePackType != MessagePackType.Map)
            throw new MessagePackSerializationException("A map was expected.");
        options.Security.DepthStep(ref reader);
        left = reader.ReadMapHeader();
        this.keys = keys;
    }

    public bool Next(ref MessagePackReader reader, out int key)
    {
        while (left-- > 0)
        {
            if (reader.NextMessagePackType != MessagePackType.String)
                throw new MessagePackSerializationException("A key is not a string.");
            key = reader.TryReadStringSpan(out var name)
                ? keys.Find(name, expected)
                : Scattered(ref reader);
            if (key < 0)
            {
                reader.Skip();
                continue;
            }
            if ((seen & (1u << key)) != 0)
                throw new MessagePackSerializationException($"'{keys.Name(key)}' is given twice.");
            seen |= 1u << key;
            expected = key + 1;
            return true;
        }
        key = -1;
        return false;
    }

    /// <summary>Ends the map; the first <paramref name="required"/> keys must be present.</summary>
    public readonly void Close(ref MessagePackReader reader, int required)
    {
        var missing = ~seen & ((1u << required) - 1);
        if (missing != 0)
            throw new MessagePackSerializationException($"'{keys.Name(System.Numerics.BitOperations.TrailingZeroCount(missing))}' is missing.");
        reader.Depth--;
    }

    /// <summary>The name crosses a boundary between network buffers.</summary>
    private readonly int Scattered(ref MessagePackReader reader)
    {
        var name = reader.ReadStringSequence()!.Value;
        return name.Length > 64 ? -1 : keys.Find(System.Buffers.BuffersExtensions.ToArray(name), expected);
    }
}
