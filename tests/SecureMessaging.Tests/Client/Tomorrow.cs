using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using MessagePack;
using MessagePack.Formatters;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>Messages of a later server version: unknown enum names instead of <c>Unknown</c>, and one unknown member in each record.</summary>
internal static class Tomorrow
{
    public const string Name = "somethingOfTomorrow";

    private const string Field = "fieldOfTomorrow";

    /// <summary>Members that hold an enum's name.</summary>
    private static readonly HashSet<string> EnumFields = [.. typeof(Wire).Assembly.GetExportedTypes().Where(type => type.GetMethod("<Clone>$") is not null)
        .SelectMany(type => type.GetProperties()).Where(property => (Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType).IsEnum)
        .Select(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name))];

    /// <param name="node">JSON of this version.</param>
    /// <param name="every">Replaces every enum name, not only <c>Unknown</c>.</param>
    public static JsonNode? Of(JsonNode? node, bool every = false, string? key = null)
    {
        switch (node)
        {
            case JsonObject fields:
                var later = new JsonObject();
                foreach (var (name, value) in fields)
                    later[name] = Of(value?.DeepClone(), every, name);
                // Not in tables by id, which are no records.
                if (fields.Count == 0 || !Guid.TryParse(fields.First().Key, out _))
                    later[Field] = JsonNode.Parse("""{"deep":[1,{"deeper":null}]}""");
                return later;
            case JsonArray items:
                return new JsonArray([.. items.Select(item => Of(item?.DeepClone(), every, key))]);
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                return Rename(key, value.GetValue<string>(), every);
            default:
                return node?.DeepClone();
        }
    }

    /// <param name="today">MessagePack of this version.</param>
    /// <param name="every">As above.</param>
    public static byte[] Of(ReadOnlyMemory<byte> today, bool every = false)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var reader = new MessagePackReader(today);
        var writer = new MessagePackWriter(buffer);
        Copy(ref reader, ref writer, every, null);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static void Configure(JsonSerializerOptions options) => options.Converters.Insert(0, new Converters());

    public static MessagePackSerializerOptions MessagePack { get; } = WireMessagePack.Options.WithResolver(new Resolver());

    private static void Copy(ref MessagePackReader reader, ref MessagePackWriter writer, bool every, string? key)
    {
        switch (reader.NextMessagePackType)
        {
            case MessagePackType.Map:
                var fields = reader.ReadMapHeader();
                writer.WriteMapHeader(fields + 1);
                for (var i = 0; i < fields; i++)
                {
                    var name = reader.ReadString()!;
                    writer.Write(name);
                    Copy(ref reader, ref writer, every, name);
                }
                writer.Write(Field);
                writer.WriteMapHeader(1);
                writer.Write("deep");
                writer.WriteArrayHeader(2);
                writer.Write(1);
                writer.WriteNil();
                break;
            case MessagePackType.Array:
                var items = reader.ReadArrayHeader();
                writer.WriteArrayHeader(items);
                for (var i = 0; i < items; i++)
                    Copy(ref reader, ref writer, every, key);
                break;
            case MessagePackType.String:
                writer.Write(Rename(key, reader.ReadString()!, every));
                break;
            default:
                writer.WriteRaw(reader.ReadRaw());
                break;
        }
    }

    private static string Rename(string? key, string value, bool every) =>
        value is "unknown" or "Unknown" || (every && key is not null && EnumFields.Contains(key)) ? Name : value;

    private sealed class Converters : JsonConverterFactory
    {
        public override bool CanConvert(Type typeToConvert) => typeToConvert.Assembly == typeof(Wire).Assembly;

        public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
            (JsonConverter)Activator.CreateInstance(typeof(Converter<>).MakeGenericType(typeToConvert))!;
    }

    private sealed class Converter<T> : JsonConverter<T>
    {
        public override T? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            JsonSerializer.Deserialize<T>(ref reader, Wire.Json);

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            Of(JsonSerializer.SerializeToNode(value, Wire.Json))!.WriteTo(writer);
    }

    private sealed class Resolver : IFormatterResolver
    {
        public IMessagePackFormatter<T>? GetFormatter<T>() => new Formatter<T>();
    }

    private sealed class Formatter<T> : IMessagePackFormatter<T>
    {
        public void Serialize(ref MessagePackWriter writer, T value, MessagePackSerializerOptions options) =>
            writer.WriteRaw(Of(MessagePackSerializer.Serialize(value, WireMessagePack.Options)));

        public T Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) =>
            MessagePackSerializer.Deserialize<T>(ref reader, WireMessagePack.Options);
    }
}
