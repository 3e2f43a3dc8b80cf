using System.Text.Json;
using System.Text.Json.Nodes;
using MessagePack;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Client;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>Readers ignore unknown members, writers are strict, and the contract only grows: files in <c>Kept/</c> are never removed.</summary>
public sealed class ToleranceTests
{
    private static readonly JsonSerializerOptions Strict = Wire.Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web), strict: true);

    private static IEnumerable<Type> Enums => typeof(Wire).Assembly.GetExportedTypes().Where(type => type.IsEnum);

    public static TheoryData<string> EnumNames => [.. Enums.Select(type => type.Name)];

    [Theory, MemberData(nameof(EnumNames))]
    public void A_future_value_of_an_enum_reads_as_Unknown_in_JSON(string name)
    {
        var type = Enums.Single(candidate => candidate.Name == name);
        foreach (var future in new[] { Tomorrow.Name, "", "message,commit", "-1", "7", new string('x', 500) })
            Assert.Equal("Unknown", JsonSerializer.Deserialize(JsonSerializer.Serialize(future), type, Wire.Json)!.ToString());
        foreach (var known in WireEnums.Known(type))
            Assert.Equal(known, JsonSerializer.Deserialize(JsonSerializer.Serialize(known, type, Wire.Json), type, Wire.Json));
    }

    [Theory, MemberData(nameof(EnumNames))]
    public void A_request_has_only_members_of_the_contract(string name)
    {
        var type = Enums.Single(candidate => candidate.Name == name);
        foreach (var json in new[] { "\"unknown\"", "\"Unknown\"", $"\"{Tomorrow.Name}\"", "-1", "0", "null", "\"0\"" })
            Assert.Throws<JsonException>(() => JsonSerializer.Deserialize(json, type, Strict));
        foreach (var known in WireEnums.Known(type))
            Assert.Equal(known, JsonSerializer.Deserialize(JsonSerializer.Serialize(known, type, Strict), type, Strict));
    }

    [Fact]
    public void Every_hub_enum_reads_as_Unknown_in_MessagePack_and_is_rejected_in_strict_mode()
    {
        var hub = Reachable([typeof(IChatHub), typeof(IChatClient)]).Where(type => type.IsEnum).ToList();
        Assert.Contains(typeof(EntryKind), hub);
        Assert.Contains(typeof(SessionEndReason), hub);
        foreach (var type in hub)
        {
            foreach (var future in new[] { Tomorrow.Name, "", new string('x', 500) })
            {
                var bytes = MessagePackSerializer.Serialize(future);
                Assert.Equal("Unknown", MessagePackSerializer.Deserialize(type, bytes, WireMessagePack.Options)!.ToString());
                Assert.Throws<MessagePackSerializationException>(() => MessagePackSerializer.Deserialize(type, bytes, WireMessagePack.Strict));
            }
            Assert.Throws<MessagePackSerializationException>(() =>
                MessagePackSerializer.Deserialize(
                    type, MessagePackSerializer.Serialize(type == typeof(ErrorCode) ? "Unknown" : "unknown"), WireMessagePack.Strict));
        }
    }

    public static TheoryData<string> RecordNames => WireTests.RecordNames;

    [Theory, MemberData(nameof(RecordNames))]
    public void A_record_of_a_later_version_is_read_without_its_new_members(string name)
    {
        var type = typeof(Wire).Assembly.GetExportedTypes().Single(candidate => candidate.Name == name);
        var sample = WireTests.Sample(type, everything: true);
        var today = JsonSerializer.SerializeToNode(sample, type, Wire.Json)!;
        var read = JsonSerializer.SerializeToNode(Tomorrow.Of(today).Deserialize(type, Wire.Json), type, Wire.Json);
        Assert.Equal(today.ToJsonString(), read!.ToJsonString());
        var future = JsonSerializer.SerializeToNode(Tomorrow.Of(today, every: true).Deserialize(type, Wire.Json), type, Wire.Json);
        Assert.Equal(Shape(today), Shape(future));

        if (!Reachable([typeof(IChatHub), typeof(IChatClient)]).Contains(type))
            return;
        var bytes = MessagePackSerializer.Serialize(type, sample, WireMessagePack.Options);
        var back = MessagePackSerializer.Deserialize(type, Tomorrow.Of(bytes), WireMessagePack.Options);
        Assert.Equal(today.ToJsonString(), JsonSerializer.SerializeToNode(back, type, Wire.Json)!.ToJsonString());
        back = MessagePackSerializer.Deserialize(type, Tomorrow.Of(bytes, every: true), WireMessagePack.Options);
        Assert.Equal(future!.ToJsonString(), JsonSerializer.SerializeToNode(back, type, Wire.Json)!.ToJsonString());
    }

    /// <summary>A client of the kept contract finds everything that it knows in the current one, and its requests are still read.</summary>
    [Fact]
    public void The_contract_only_grows()
    {
        var now = Read("Snapshots", "wire.json");
        var files = Directory.GetFiles(Repository.PathOf("tests", "SecureMessaging.Tests", "Contract", "Kept"), "*.json");
        Assert.NotEmpty(files);
        foreach (var kept in files.Select(file => JsonNode.Parse(File.ReadAllText(file))!))
        {
            foreach (var (name, path) in kept["paths"]!.AsObject())
                Assert.Equal(path!.ToString(), now["paths"]![name]?.ToString());
            foreach (var part in new[] { "hub", "client", "adminHub", "adminClient" })
                Assert.Superset(Texts(kept[part]!).ToHashSet(), Texts(now[part]!).ToHashSet());
            foreach (var (name, values) in kept["enums"]!.AsObject())
                Assert.Superset(Texts(values!).ToHashSet(), Texts(now["enums"]![name]!).ToHashSet());
            Assert.Superset(Texts(kept["retryable"]!).ToHashSet(), Texts(now["retryable"]!).ToHashSet());
            foreach (var (name, sample) in kept["records"]!.AsObject())
            {
                var today = now["records"]![name];
                Assert.True(today is not null, $"{name} is gone.");
                // A request may need less than before: clients that send more are still read.
                if (!name.EndsWith("Request, least", StringComparison.Ordinal))
                    Assert.True(Holds(today, sample), $"{name} lost a field, or a field changed its type: {sample!.ToJsonString()}");
                var type = typeof(Wire).Assembly.GetExportedTypes().Single(candidate => candidate.Name == name.Split(',')[0]);
                Assert.NotNull(sample!.Deserialize(type, Strict));
            }
        }
    }

    private static JsonNode Read(params string[] path) =>
        JsonNode.Parse(File.ReadAllText(Repository.PathOf(["tests", "SecureMessaging.Tests", .. path])))!;

    private static IEnumerable<string> Texts(JsonNode list) => list.AsArray().Select(item => item!.ToString());

    private static bool Holds(JsonNode? now, JsonNode? kept) => (now, kept) switch
    {
        (JsonObject a, JsonObject b) => b.All(field => a.ContainsKey(field.Key) && Holds(a[field.Key], field.Value)),
        (JsonArray a, JsonArray b) => b.Count == 0 || (a.Count > 0 && Holds(a[0], b[0])),
        (JsonValue a, JsonValue b) => a.GetValueKind() == b.GetValueKind(),
        _ => now is null && kept is null,
    };

    /// <summary>The members without their values.</summary>
    private static string Shape(JsonNode? node) => node switch
    {
        JsonObject fields => $"{{{string.Join(",", fields.Select(field => $"{field.Key}:{Shape(field.Value)}"))}}}",
        JsonArray items => $"[{string.Join(",", items.Select(Shape))}]",
        _ => node?.GetValueKind().ToString() ?? "null",
    };

    private static HashSet<Type> Reachable(Type[] roots)
    {
        var seen = new HashSet<Type>();
        var left = new Stack<Type>(
            roots.SelectMany(root => root.GetMethods()).SelectMany(method => method.GetParameters().Select(p => p.ParameterType).Append(method.ReturnType)));
        while (left.TryPop(out var type))
        {
            foreach (var inner in type.GetGenericArguments().Concat(type.IsArray ? [type.GetElementType()!] : []))
                left.Push(inner);
            if (type.Assembly == typeof(Wire).Assembly && seen.Add(type) && !type.IsEnum)
                Array.ForEach(type.GetProperties(), property => left.Push(property.PropertyType));
        }
        // The hub's errors travel as the text of an exception.
        seen.Add(typeof(ErrorCode));
        return seen;
    }
}
