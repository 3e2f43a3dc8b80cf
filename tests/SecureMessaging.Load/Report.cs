using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SecureMessaging.Load;

/// <summary>The table that people read, and the same as JSON.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private static readonly (string Title, int Width, Func<Row, string> Cell)[] Columns =
    [
        ("subject", -16, row => row.Subject),
        ("mode", -22, row => row.Mode),
        ("msg/s", 8, row => Whole(row.MessagesPerSecond)),
        ("deliv/s", 9, row => Whole(row.DeliveriesPerSecond)),
        ("p50 ms", 8, row => Short(row.P50Ms)),
        ("p99 ms", 8, row => Short(row.P99Ms)),
        ("p99.9", 8, row => Short(row.P999Ms)),
        ("ack p50", 8, row => Short(row.AckP50Ms)),
        ("ack p99", 8, row => Short(row.AckP99Ms)),
        ("a p99.9", 8, row => Short(row.AckP999Ms)),
        ("srv us/m", 9, row => Whole(row.ServerCpuUsPerMessage)),
        ("srv us/d", 9, row => Short(row.ServerCpuUsPerDelivery)),
        ("cpu us/d", 9, row => Short(row.CpuUsPerDelivery)),
        ("db us/m", 8, row => Whole(row.DatabaseCpuUsPerMessage)),
        ("gen us/d", 9, row => Short(row.GeneratorCpuUsPerDelivery)),
        ("alloc/m", 8, row => Whole(row.AllocatedBytesPerMessage)),
        ("B/conn", 8, row => Whole(row.BytesPerConnection)),
        ("idle %", 7, row => Short(row.IdleCpuPercent)),
        ("x bare", 7, row => Ratio(row.RatioToBareHub)),
        ("p50 +", 7, row => Short(row.P50OverBareHubMs)),
        ("p99 +", 7, row => Short(row.P99OverBareHubMs)),
        ("x store", 8, row => Ratio(row.RatioToStoreLimit)),
        ("other", 6, row => Ratio(row.OtherCores)),
        ("failed", 7, row => row.Failed.ToString(CultureInfo.InvariantCulture)),
    ];

    public static string Heading { get; } = Line(column => column.Title);

    public static string Format(Row row) => Line(column => column.Cell(row));

    public static Task WriteJsonAsync(string file, IEnumerable<Row> rows) => File.WriteAllTextAsync(file, JsonSerializer.Serialize(rows, Json) + "\n");

    private static string Line(Func<(string Title, int Width, Func<Row, string> Cell), string> cell) =>
        string.Concat(Columns.Select(column => column.Width < 0 ? cell(column).PadRight(-column.Width) : cell(column).PadLeft(column.Width))).TrimEnd();

    private static string Whole(double? value) => value is { } number && double.IsFinite(number) ? number.ToString("N0", CultureInfo.InvariantCulture) : "";

    private static string Short(double? value) => value is { } number && double.IsFinite(number)
        ? number.ToString(number < 10 ? "N2" : "N0", CultureInfo.InvariantCulture) : "";

    private static string Ratio(double? value) => value is { } number && double.IsFinite(number) ? number.ToString("N2", CultureInfo.InvariantCulture) : "";
}
