using System.Text.Json;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>What <c>db/inventory.json</c> declares.</summary>
internal sealed record Inventory(
    Dictionary<string, Inventory.Item> Columns, Dictionary<string, Inventory.Item> LogProperties, Dictionary<string, Inventory.Item> MetricLabels)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static Inventory Declared { get; } = Parse(File.ReadAllText(Repository.PathOf("db", "inventory.json")));

    public static Inventory Parse(string json) => JsonSerializer.Deserialize<Inventory>(json, Json)!;

    /// <param name="Purpose">Why it is there.</param>
    /// <param name="Precision">How exact it is.</param>
    /// <param name="TimeToLive">When it goes.</param>
    internal sealed record Item(string Purpose, string Precision, string TimeToLive);
}
