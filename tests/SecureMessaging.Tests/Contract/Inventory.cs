using System.Text.Json;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>The declarations of <c>db/inventory.json</c>.</summary>
internal sealed record Inventory(
    Dictionary<string, Inventory.Item> Columns, Dictionary<string, Inventory.Item> LogProperties, Dictionary<string, Inventory.Item> MetricLabels)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static Inventory Declared { get; } = Parse(File.ReadAllText(Repository.PathOf("db", "inventory.json")));

    public static Inventory Parse(string json) => JsonSerializer.Deserialize<Inventory>(json, Json)!;

    /// <param name="Purpose">Why it exists.</param>
    /// <param name="Precision">How precise it is.</param>
    /// <param name="TimeToLive">When it is deleted.</param>
    internal sealed record Item(string Purpose, string Precision, string TimeToLive);
}
