using System.Data.Common;
using System.Text.Json;

namespace SecureMessaging.Server.Privacy;

/// <summary>One column as it is shown to whom it is about.</summary>
/// <param name="Name">In the database and in the inventory.</param>
/// <param name="Write">Writes a value that is not null, as either engine returns it, of this row.</param>
/// <param name="Sql">What is selected.</param>
internal sealed record HeldColumn(string Name, Action<Utf8JsonWriter, object, DbDataReader> Write, string Sql)
{
    private const string NotShown = "held, not shown";

    public static HeldColumn Id(string name) => new(name, (json, value, _) => json.WriteStringValue(ToId(value)), name);

    public static HeldColumn Text(string name) => new(name, (json, value, _) => json.WriteStringValue((string)value), name);

    public static HeldColumn Number(string name) => new(name, (json, value, _) => json.WriteNumberValue(ToNumber(value)), name);

    public static HeldColumn Flag(string name) => new(name, (json, value, _) => json.WriteBooleanValue(value is bool flag ? flag : ToNumber(value) != 0), name);

    public static HeldColumn Time(string name) => new(name, (json, value, _) => json.WriteStringValue(ToTime(value)), name);

    public static HeldColumn Bytes(string name) => new(name, (json, value, _) => json.WriteBase64StringValue((byte[])value), name);

    /// <summary>What one of a few numbers is called on the wire.</summary>
    public static HeldColumn OneOf<T>(string name)
        where T : struct, Enum =>
        new(name, (json, value, _) => json.WriteStringValue(JsonNamingPolicy.CamelCase.ConvertName(Enum.ToObject(typeof(T), ToNumber(value)).ToString()!)), name);

    /// <summary>What is large, and can be fetched elsewhere: only its size.</summary>
    public static HeldColumn Size(string name) => new(
        name,
        (json, value, _) =>
        {
            json.WriteStartObject();
            json.WriteNumber("bytes", ToNumber(value));
            json.WriteEndObject();
        },
        $"length({name})");

    /// <summary>What proves who somebody is: only that it is there.</summary>
    public static HeldColumn Secret(string name) => new(name, (json, _, _) => json.WriteStringValue(NotShown), $"case when {name} is not null then 1 end");

    /// <summary>What is encrypted under a key of the server and bound to the id of its row, as it was given.</summary>
    public static HeldColumn Sealed(string name, Func<byte[], Guid, string> reveal) =>
        new(name, (json, value, row) => json.WriteStringValue(reveal((byte[])value, ToId(row["id"]))), name);

    public static Guid ToId(object value) => value is byte[] bytes ? new Guid(bytes, bigEndian: true) : (Guid)value;

    public static long ToNumber(object value) => Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture);

    private static DateTime ToTime(object value) =>
        value is long seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds).UtcDateTime : DateTime.SpecifyKind((DateTime)value, DateTimeKind.Utc);
}
