using System.Text.Json;
using System.Text.Json.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>
/// Enum values by the names of the contract, never by numbers. A reader reads an unknown name as <c>Unknown</c>, so that clients work with a later server.
/// With <paramref name="strict"/> an unknown name, and <c>Unknown</c> itself, is rejected.
/// </summary>
internal sealed class WireEnumConverter<T>(JsonNamingPolicy? naming, bool strict) : JsonConverter<T>
    where T : struct, Enum
{
    private readonly T unknown = Enum.Parse<T>(WireEnums.Unknown);

    private readonly Dictionary<T, JsonEncodedText> names = Enum.GetValues<T>()
        .ToDictionary(value => value, value => JsonEncodedText.Encode(naming?.ConvertName(value.ToString()) ?? value.ToString()));

    private readonly Dictionary<string, T> values = Enum.GetValues<T>()
        .Where(value => !strict || value.ToString() != WireEnums.Unknown)
        .ToDictionary(value => value.ToString(), StringComparer.OrdinalIgnoreCase);

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType != JsonTokenType.String ? throw new JsonException("A name was expected.")
        : values.TryGetValue(reader.GetString()!, out var value) ? value
        : strict ? throw new JsonException($"One of {string.Join(", ", values.Values.Select(one => names[one]))} was expected.")
        : unknown;

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
        writer.WriteStringValue(names.TryGetValue(value, out var name) ? name : throw new JsonException("The contract does not know this value."));
}
