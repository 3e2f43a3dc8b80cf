using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>The wire contract is Snapshots/wire.json: a change that affects installed clients shows in the diff.</summary>
public sealed class WireTests
{
    private static readonly NullabilityInfoContext Nullability = new();
    private static readonly JsonSerializerOptions Printed =
        new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static IEnumerable<Type> Contract => typeof(Wire).Assembly.GetExportedTypes().OrderBy(type => type.Name, StringComparer.Ordinal);

    private static IEnumerable<Type> Records => Contract.Where(type => type.GetMethod("<Clone>$") is not null);

    [Fact]
    public void Contract_is_the_snapshot()
    {
        var wire = new JsonObject
        {
            ["paths"] = new JsonObject(typeof(Wire).GetFields().Where(field => field.IsLiteral)
                .Select(field => KeyValuePair.Create<string, JsonNode?>(field.Name, JsonValue.Create((string)field.GetRawConstantValue()!)))),
            ["hub"] = Signatures(typeof(IChatHub)),
            ["client"] = Signatures(typeof(IChatClient)),
            ["adminHub"] = Signatures(typeof(IAdminHub)),
            ["adminClient"] = Signatures(typeof(IAdminClient)),
            ["enums"] = new JsonObject(Contract.Where(type => type.IsEnum).Select(type => KeyValuePair.Create<string, JsonNode?>(type.Name, Values(type)))),
            ["retryable"] = JsonSerializer.SerializeToNode(WireEnums.Known<ErrorCode>().Where(code => code.IsRetryable()), Wire.Json),
            ["records"] = new JsonObject(Records.SelectMany(type => new[]
            {
                KeyValuePair.Create(type.Name, JsonSerializer.SerializeToNode(Sample(type, everything: true), type, Wire.Json)),
                KeyValuePair.Create(type.Name + ", least", JsonSerializer.SerializeToNode(Sample(type, everything: false), type, Wire.Json)),
            })),
        };
        Snapshot.Matches(wire.ToJsonString(Printed) + "\n", "tests", "SecureMessaging.Tests", "Snapshots", "wire.json");
    }

    public static TheoryData<string> RecordNames => [.. Records.Select(type => type.Name)];

    [Theory]
    [MemberData(nameof(RecordNames))]
    public void A_record_reads_back_as_it_was_written(string name)
    {
        var type = Records.Single(candidate => candidate.Name == name);
        foreach (var everything in new[] { true, false })
        {
            var json = JsonSerializer.Serialize(Sample(type, everything), type, Wire.Json);
            Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize(json, type, Wire.Json), type, Wire.Json));
        }
    }

    [Theory]
    [InlineData(typeof(SignUpRequest))]
    [InlineData(typeof(TokenRequest))]
    [InlineData(typeof(RefreshRequest))]
    [InlineData(typeof(TokenResponse))]
    [InlineData(typeof(TicketResponse))]
    [InlineData(typeof(Profile))]
    [InlineData(typeof(UpdateProfileRequest))]
    [InlineData(typeof(ChangePasswordRequest))]
    [InlineData(typeof(DeleteAccountRequest))]
    [InlineData(typeof(RegisterPushRequest))]
    public void A_record_with_secrets_does_not_print_them(Type type)
    {
        var sample = Sample(type, everything: true);
        var printed = sample.ToString()!;
        Assert.Contains("[REDACTED]", printed, StringComparison.Ordinal);
        Assert.All(type.GetProperties().Where(property => property.PropertyType == typeof(string)),
            property => Assert.DoesNotContain((string)property.GetValue(sample)!, printed, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"roomId":"00000000-0000-4000-8000-000000000001","clientMessageId":"00000000-0000-4000-8000-000000000002"}""")]
    [InlineData("""{"roomId":null,"clientMessageId":"00000000-0000-4000-8000-000000000002","ciphertext":"AA=="}""")]
    [InlineData("""{"roomId":"00000000-0000-4000-8000-000000000001","clientMessageId":"00000000-0000-4000-8000-000000000002","ciphertext":null}""")]
    [InlineData(
        """{"roomId":"00000000-0000-4000-8000-000000000001","clientMessageId":"00000000-0000-4000-8000-000000000002","ciphertext":"AA==","epoch":"1"}""")]
    [InlineData(
        """{"roomId":"00000000-0000-4000-8000-000000000001","clientMessageId":"00000000-0000-4000-8000-000000000002","ciphertext":"AA==","""
        + "\"epoch\":1,\"epoch\":2}")]
    [InlineData("""{"roomId":"00000000-0000-4000-8000-000000000001","clientMessageId":"00000000-0000-4000-8000-000000000002","ciphertext":"not base64!"}""")]
    public void Values_that_violate_the_contract_are_not_read(string json) =>
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<SendRequest>(json, Wire.Json));

    private static JsonArray Signatures(Type type) =>
        new([.. type.GetMethods().OrderBy(method => method.Name, StringComparer.Ordinal).Select(method => (JsonNode?)
        $"{method.Name}({string.Join(", ", method.GetParameters().Select(parameter => $"{Name(parameter.ParameterType)} {parameter.Name}"))}) "
            + $"→ {Name(method.ReturnType)}")]);

    private static JsonArray Values(Type type) => new([.. Enum.GetValuesAsUnderlyingType(type).Cast<object>().Select(value => (JsonNode?)
        $"{JsonSerializer.SerializeToNode(Enum.ToObject(type, value), type, Wire.Json)} = {value}")]);

    private static string Name(Type type) => type.IsGenericType
        ? $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
        : type.Name;

    /// <summary>A record with every member set to a value derived from its name, or only with the required ones.</summary>
    internal static object Sample(Type type, bool everything)
    {
        var constructor = type.GetConstructors().OrderByDescending(candidate => candidate.GetParameters().Length).First();
        return constructor.Invoke([.. constructor.GetParameters().Select(parameter =>
            everything || (!parameter.HasDefaultValue && Nullability.Create(parameter).WriteState != NullabilityState.Nullable)
                ? Value(parameter.ParameterType, $"{type.Name}.{parameter.Name}", everything)
                : parameter.HasDefaultValue ? parameter.DefaultValue : null)]);
    }

    private static object? Value(Type type, string name, bool everything)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        var number = name.Aggregate(7, (hash, character) => ((hash * 31) + character) & 0xFFFF);
        return type switch
        {
            _ when type == typeof(string) => name,
            _ when type == typeof(bool) => true,
            _ when type == typeof(int) => number,
            _ when type == typeof(long) => (1L << 40) + number,
            _ when type == typeof(Guid) => new Guid(number, 0, 0x4000, 0x80, 0, 0, 0, 0, 0, 0, 1),
            _ when type == typeof(DateTime) => new DateTime(2031, 2, 3, 4, 5, 0, DateTimeKind.Utc).AddMinutes(number),
            _ when type == typeof(byte[]) => new byte[] { 0, 0xFB, 0xFF, (byte)number },
            _ when type.IsEnum => WireEnums.Known(type)[number % WireEnums.Known(type).Count],
            _ when type == typeof(IReadOnlyDictionary<Guid, NotificationSettings>) => new Dictionary<Guid, NotificationSettings>
            {
                [new Guid(number, 0, 0x4000, 0x80, 0, 0, 0, 0, 0, 0, 1)] = (NotificationSettings)Sample(typeof(NotificationSettings), everything),
            },
            _ when type.IsArray => ArrayOf(type.GetElementType()!, name, everything),
            _ when type.GetMethod("<Clone>$") is not null => Sample(type, everything),
            _ => throw new NotSupportedException($"No sample for {type} of {name}."),
        };
    }

    private static Array ArrayOf(Type element, string name, bool everything)
    {
        var array = Array.CreateInstance(element, 2);
        for (var i = 0; i < array.Length; i++)
            array.SetValue(Value(element, $"{name}[{i}]", everything), i);
        return array;
    }
}
