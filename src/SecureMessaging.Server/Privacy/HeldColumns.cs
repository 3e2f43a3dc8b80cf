using System.Data.Common;
using System.Text.Json;

namespace SecureMessaging.Server.Privacy;

/// <param name="Name">The name in the database and in the inventory.</param>
/// <param name="Write">Writes a value of either engine that is not null, of this row.</param>
/// <param name="Sql">The selected expression.</param>
internal sealed record HeldColumn(string Name, Action<Utf8JsonWriter, object, DbDataReader> Write, string Sql)
{
    private const string NotShown = "held, not shown";

    public static HeldColumn Id(string name) => new(name, (json, value, _) => json.WriteStringValue(ToId(value)), name);

    public static HeldColumn Text(string name) => new(name, (json, value, _) => json.WriteStringValue((string)value), name);

    public static HeldColumn Number(string name) => new(name, (json, value, _) => json.WriteNumberValue(ToNumber(value)), name);

    public static HeldColumn Flag(string name) => new(name, (json, value, _) => json.WriteBooleanValue(value is bool flag ? flag : ToNumber(value) != 0), name);

    public static HeldColumn Time(string name) => new(name, (json, value, _) => json.WriteStringValue(ToTime(value)), name);

    public static HeldColumn Bytes(string name) => new(name, (json, value, _) => json.WriteBase64StringValue((byte[])value), name);

    /// <summary>An enum, by its name on the wire.</summary>
    public static HeldColumn OneOf<T>(string name)
        where T : struct, Enum =>
        new(
            name,
            (json, value, _) => json.WriteStringValue(JsonNamingPolicy.CamelCase.ConvertName(Enum.ToObject(typeof(T), ToNumber(value)).ToString()!)),
            name);

    /// <summary>Only the size of a large value, which other endpoints return.</summary>
    public static HeldColumn Size(string name) => new(
        name,
        (json, value, _) =>
        {
            json.WriteStartObject();
            json.WriteNumber("bytes", ToNumber(value));
            json.WriteEndObject();
        },
        $"length({name})");

    /// <summary>Only the presence of a credential.</summary>
    public static HeldColumn Secret(string name) => new(name, (json, _, _) => json.WriteStringValue(NotShown), $"case when {name} is not null then 1 end");

    /// <summary>The plain text of a value that is encrypted with a server key and bound to the id of its row.</summary>
    public static HeldColumn Sealed(string name, Func<byte[], Guid, string> reveal) =>
        new(name, (json, value, row) => json.WriteStringValue(reveal((byte[])value, ToId(row["id"]))), name);

    public static Guid ToId(object value) => value is byte[] bytes ? new Guid(bytes, bigEndian: true) : (Guid)value;

    public static long ToNumber(object value) => Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture);

    private static DateTime ToTime(object value) =>
        value is long seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds).UtcDateTime : DateTime.SpecifyKind((DateTime)value, DateTimeKind.Utc);
}
