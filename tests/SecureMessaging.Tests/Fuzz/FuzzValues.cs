using System.Reflection;
using System.Text;
using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Fuzz;

/// <summary>Seeded values, as people and attackers send them: of the required type, or deliberately of another.</summary>
internal sealed class FuzzValues(Random random, Guid[] ids, string[] names)
{
    private static readonly string[] Texts =
    [
        "", " ", "x", "a@b.c", "correct horse battery", "\u0000", "\r\nSet-Cookie: a=b", "\ud83d\ude00", "\u202e", "İ", "ﬁ", "ß", "null", "undefined", "-1",
        "1e999", "{}", "[]",
        "' or 1=1 --", "../../etc/passwd", "%00", "%2e%2e%2f", "${jndi:ldap://x}", "<script>", "{{7*7}}", "\\u0041", "true",
        "00000000-0000-0000-0000-000000000000", "AQ==", "AQ=", "====",
    ];

    private static readonly long[] Numbers =
        [0, 1, -1, 2, 59, 60, 100, 500, 501, int.MaxValue, int.MinValue, 1L << 32, (1L << 53) - 1, 1L << 53, long.MaxValue, long.MinValue, long.MaxValue - 1];

    private static readonly int[] Lengths = [0, 1, 16, 31, 32, 33, 64, 100, 256, 257, 4096, 33_000];

    public Random Random { get; } = random;

    public bool Chance(double probability) => Random.NextDouble() < probability;

    public T Pick<T>(IReadOnlyList<T> from) => from[Random.Next(from.Count)];

    public string Id() => Chance(0.75) ? Pick(ids).ToString() : Chance(0.5) ? Guid.Empty.ToString() : Text();

    public string Text() => Random.Next(10) switch
    {
        < 4 => Pick(names),
        < 9 => Pick(Texts),
        _ => new string((char)Random.Next(32, 0xD7FF), Pick(Lengths)),
    };

    public long Number() => Chance(0.5) ? Random.Next(-2, 70) : Pick(Numbers);

    public string Base64()
    {
        var bytes = new byte[Pick(Lengths)];
        Random.NextBytes(bytes);
        return Convert.ToBase64String(bytes);
    }

    /// <summary>JSON of a record of the contract; members are sometimes of another type, missing or added.</summary>
    public string Json(Type type) => JsonSerializer.Serialize(Of(type, 0));

    /// <summary>The same text with damage: some bytes changed, or a piece removed, doubled or moved.</summary>
    public string Damage(string text)
    {
        var damaged = new StringBuilder(text);
        for (var i = Random.Next(1, 5); i > 0 && damaged.Length > 0; i--)
        {
            var at = Random.Next(damaged.Length);
            var length = Random.Next(1, Math.Min(20, damaged.Length - at) + 1);
            switch (Random.Next(6))
            {
                case 0:
                    damaged.Remove(at, length);
                    break;
                case 1:
                    damaged.Insert(at, damaged.ToString(at, length));
                    break;
                case 2:
                    damaged[at] = (char)Random.Next(0, 0xD7FF);
                    break;
                case 3:
                    damaged.Insert(
                        at, Pick(["{", "}", "[", "]", "\"", ",", ":", "null", "1e9999", "-", "\\", "\u0000", "@", "$", "!", "...", "#", "\"\"\"", "(", ")"]));
                    break;
                case 4:
                    damaged.Length = at;
                    break;
                default:
                    damaged.Insert(at, new string(Pick(['[', '{', '(', '"', '9', ' ']), Random.Next(1, 2000)));
                    break;
            }
        }

        return damaged.ToString();
    }

    private object? Of(Type type, int depth)
    {
        if (Chance(0.05))
            return Anything();
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return Chance(0.4) ? null : Of(inner, depth);
        if (type == typeof(Guid))
            return Id();
        if (type == typeof(string))
            return Text();
        if (type == typeof(byte[]))
            return Base64();
        if (type == typeof(bool))
            return Chance(0.5);
        if (type.IsEnum)
            return Chance(0.9) ? JsonSerializer.SerializeToElement(WireEnums.Known(type)[Random.Next(WireEnums.Known(type).Count)], type, Wire.Json) : Text();
        if (type.IsPrimitive)
            return Number();
        if (type.IsArray)
            return Enumerable.Range(0, Chance(0.02) ? 1500 : Random.Next(4)).Select(_ => Of(type.GetElementType()!, depth + 1)).ToArray();
        if (depth > 6)
            return null;
        var members = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite && !Chance(0.04)))
            members[Chance(0.98) ? JsonNamingPolicy.CamelCase.ConvertName(property.Name) : property.Name.ToUpperInvariant()] = Of(
                property.PropertyType, depth + 1);
        if (Chance(0.05))
            members[Text()] = Anything();
        return members;
    }

    public object? Anything() => Random.Next(8) switch
    {
        0 => null,
        1 => Number(),
        2 => Text(),
        3 => Chance(0.5),
        4 => Random.NextDouble() * Math.Pow(10, Random.Next(-300, 300)),
        5 => Array.Empty<object>(),
        6 => new Dictionary<string, object?> { [Text()] = Number() },
        _ => new object?[] { null, new object?[] { Text() } },
    };
}
