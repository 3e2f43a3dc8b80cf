using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SecureMessaging.Faults;

/// <summary>The table on the terminal and the JSON file.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
    };

    public static string Heading { get; } =
        $"{"fault",-20} {"engine",-9} {"acked",8} {"lost",5} {"dup",5} {"reord",5} {"phant",5} {"other",5} "
        + $"{"rec p50",9} {"rec p99",9} {"ack p99",9} {"calm p99",9} {"answered",9}  ";

    public static string Line(Row row) => row.Error is not null && row.Acked == 0
        ? $"{row.Fault,-20} {row.Engine,-9} {row.Error}"
        : $"{row.Fault,-20} {row.Engine,-9} {row.Acked,8} {row.Lost,5} {row.Duplicated,5} {row.Reordered,5} {row.Phantom,5} {row.Other,5} "
            + $"{Time(row.RecoveryP50Ms),9} {Time(row.RecoveryP99Ms),9} {Time(row.AckP99Ms),9} {Time(row.CalmAckP99Ms),9} {Time(row.SlowestOutcomeMs),9}  "
            + $"{(row.Passed ? "" : row.Violations.Count > 0 ? "VIOLATED " : "MISSED ")}{row.Note}"
            + string.Concat(row.Figures.Chunk(4).Select(figures => $"\n{"",8}{string.Join(", ", (object[])figures)}"));

    public static async Task WriteAsync(string file, IEnumerable<Row> rows) => await File.WriteAllTextAsync(file, JsonSerializer.Serialize(rows, Json));

    private static string Time(double? milliseconds) => milliseconds is { } value ? value.ToString("0", CultureInfo.InvariantCulture) + " ms" : "-";
}
