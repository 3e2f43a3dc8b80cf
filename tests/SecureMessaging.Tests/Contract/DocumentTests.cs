using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;
using SecureMessaging.Server;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Retention;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>The documents are generated from reality: no column, log property or metric exists that the inventory does not declare.</summary>
public sealed partial class DocumentTests(PostgresServer server)
{
    private const string Mark = "<!-- From here on written by a test, from the migrated schema and inventory.json. -->\n";

    private const string ColumnsSql = """
        select c.table_name as table, c.column_name as name, c.data_type as type, c.is_nullable = 'YES' as nullable,
            exists (select 1 from information_schema.key_column_usage k join information_schema.table_constraints t using (constraint_name, constraint_schema)
                where t.constraint_type = 'PRIMARY KEY' and k.table_name = c.table_name and k.column_name = c.column_name) as key
        from information_schema.columns c where c.table_schema = 'public' and c.table_name <> 'schemaversions'
        order by c.table_name, c.ordinal_position
        """;

    private const string ReferencesSql = """
        select distinct conrelid::regclass::text as table, confrelid::regclass::text as target from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace order by 1, 2
        """;

    private static readonly JsonSerializerOptions Printed =
        new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    [Trait("Ring", "Full")]
    public async Task Every_column_is_declared_and_every_declared_column_exists()
    {
        var columns = (await server.RowsAsync<ColumnRow>(ColumnsSql)).Select(column => $"{column.Table}.{column.Name}");
        Assert.Equal(columns.Order(StringComparer.Ordinal), Inventory.Declared.Columns.Keys.Order(StringComparer.Ordinal));
        Assert.All(
            new[] { Inventory.Declared.Columns, Inventory.Declared.LogProperties, Inventory.Declared.MetricLabels }.SelectMany(items => items),
            item => Assert.All(
                [item.Value.Purpose, item.Value.Precision, item.Value.TimeToLive], text => Assert.False(string.IsNullOrWhiteSpace(text), item.Key)));
    }

    /// <summary>
    /// Other tests check retention of sessions, tokens and entries; this one checks that no documented duration differs from the server's.
    /// </summary>
    [Fact]
    public void Every_duration_of_the_inventory_is_the_servers()
    {
        var (auth, retention) = (new AuthOptions(), new RetentionOptions());
        string[] times =
        [
            $"{retention.EndedSessions.TotalHours} hours after the session's end",
            $"until used, {auth.TicketLifetime.TotalSeconds} seconds at most",
            $"until revoked, or not seen for the time that the operator sets ({retention.UnseenDevices.TotalDays} days); "
            + "while it waits for approval, until its session ends",
            $"until it expires ({KeyPackageCheck.LongestLife.TotalDays} days at most)",
            $"until all its devices have fetched it, or the time that the operator sets ({retention.Welcomes.TotalDays} days)",
            $"as the operator keeps logs (files written by the server: {LogOptions.FileDays} days)",
        ];
        var written = Inventory.Declared.Columns.Concat(Inventory.Declared.LogProperties).Concat(Inventory.Declared.MetricLabels)
            .Select(item => item.Value.TimeToLive).Distinct(StringComparer.Ordinal).ToList();
        Assert.Equal(times.Order(StringComparer.Ordinal), written.Where(time => time.Any(char.IsAsciiDigit)).Order(StringComparer.Ordinal));
        Assert.Contains("one to two days longer than the content", written);
        Assert.Equal(TimeSpan.FromDays(1), LogStore.RepeatWindow);
    }

    [Fact]
    public void Every_property_of_our_log_lines_is_declared_and_used()
    {
        // LogPropertyTests finds those of libraries, and of every line, in real output.
        var used = LogLines()
            .SelectMany(line => Placeholder().Matches(line.Message).Select(match => match.Groups["name"].Value)).Concat(LogPropertyTests.OfLibraries)
            .Distinct(StringComparer.Ordinal);
        Assert.Equal(used.Order(StringComparer.Ordinal), Inventory.Declared.LogProperties.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Event_ids_are_unique() =>
        Assert.Empty(LogLines().GroupBy(line => line.EventId).Where(lines => lines.Skip(1).Any())
            .Select(lines => string.Join(" and ", lines.Select(line => line.Message))));

    [Fact]
    [Trait("Ring", "Full")]
    public async Task The_database_document_matches_schema_and_inventory()
    {
        var file = await File.ReadAllTextAsync(Repository.PathOf("db", "README.md"));
        var columns = await server.RowsAsync<ColumnRow>(ColumnsSql);
        var references = await server.RowsAsync<ReferenceRow>(ReferencesSql);
        Snapshot.Matches(
            file[..(file.IndexOf(Mark, StringComparison.Ordinal) + Mark.Length)] + Diagram(columns, references) + Dictionary(columns), "db", "README.md");
    }

    [Fact]
    public void The_wire_schema_matches_the_records()
    {
        var options = new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Named };
        var records = typeof(Wire).Assembly.GetExportedTypes().Where(type => type.GetMethod("<Clone>$") is not null)
            .OrderBy(type => type.Name, StringComparer.Ordinal);
        var schema = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "Records of SecureMessaging's wire contract. Bytes are base64, times ISO 8601 in UTC.",
            ["$defs"] = new JsonObject(records.Select(type => KeyValuePair.Create<string, JsonNode?>(type.Name, Wire.Json.GetJsonSchemaAsNode(type, options)))),
        };
        Snapshot.Matches(schema.ToJsonString(Printed) + "\n", "src", "SecureMessaging.Protocol", "wire.schema.json");
    }

    [Fact]
    [Trait("Ring", "Full")]
    public async Task The_documents_are_public()
    {
        Assert.Equal(Inventory.Declared.Columns.Keys, Inventory.Parse(await server.Http.GetStringAsync("/.well-known/data-inventory")).Columns.Keys);
        var index = await server.Http.GetStringAsync("/docs");
        foreach (Match link in Link().Matches(index))
            Assert.NotEmpty(await server.Http.GetStringAsync(link.Groups["path"].Value));
        Assert.Contains("erDiagram", await server.Http.GetStringAsync("/docs/database.md"), StringComparison.Ordinal);
    }

    /// <summary>Names the values of enums, which the exporter does not know from the contract's own converter.</summary>
    private static JsonNode Named(JsonSchemaExporterContext context, JsonNode schema)
    {
        foreach (var property in context.TypeInfo.Properties)
        {
            var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (!type.IsEnum || schema["properties"] is not JsonObject properties)
                continue;
            var names = WireEnums.Known(type).Select(value => JsonSerializer.SerializeToNode(value, type, Wire.Json)).ToList();
            if (type != property.PropertyType)
                names.Add(null);
            if (properties[property.Name] is not JsonObject named)
                properties[property.Name] = named = [];
            named.Insert(0, "enum", new JsonArray([.. names]));
        }

        return schema;
    }

    private static IEnumerable<LoggerMessageAttribute> LogLines() => typeof(ServerApp).Assembly.GetTypes()
        .SelectMany(type => type.GetMethods(BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        .Select(method => method.GetCustomAttribute<LoggerMessageAttribute>()).OfType<LoggerMessageAttribute>();

    private static string Diagram(List<ColumnRow> columns, List<ReferenceRow> references)
    {
        var text = new StringBuilder("\n## ER diagram\n\n```mermaid\nerDiagram\n");
        foreach (var reference in references)
            text.Append(Invariant($"    {reference.Target} ||--o{{ {reference.Table} : \"\"\n"));
        foreach (var table in columns.GroupBy(column => column.Table))
        {
            text.Append(Invariant($"    {table.Key} {{\n"));
            foreach (var column in table)
                text.Append(Invariant($"        {column.Type.Replace(' ', '_')} {column.Name}{(column.Key ? " PK" : "")}\n"));
            text.Append("    }\n");
        }

        return text.Append("```\n").ToString();
    }

    private static string Dictionary(List<ColumnRow> columns)
    {
        var text = new StringBuilder("\n## Data dictionary\n");
        foreach (var table in columns.GroupBy(column => column.Table))
        {
            text.Append(Invariant($"\n### {table.Key}\n\n| column | type | what for | how exact | until |\n|---|---|---|---|---|\n"));
            foreach (var column in table)
            {
                var item = Inventory.Declared.Columns.GetValueOrDefault($"{column.Table}.{column.Name}") ?? new("", "", "");
                var type = column.Nullable ? $"{column.Type}, may be null" : column.Type;
                text.Append(Invariant($"| `{column.Name}` | {type} | {item.Purpose} | {item.Precision} | {item.TimeToLive} |\n"));
            }
        }

        return text.ToString();
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);

    [GeneratedRegex("[{](?<name>[A-Za-z]+)(:[a-z]+)?[}]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Placeholder();

    [GeneratedRegex("""href="(?<path>[^"]+)""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Link();

    private sealed record ColumnRow
    {
        public string Table { get; init; } = "";
        public string Name { get; init; } = "";
        public string Type { get; init; } = "";
        public bool Nullable { get; init; }
        public bool Key { get; init; }
    }

    private sealed record ReferenceRow
    {
        public string Table { get; init; } = "";
        public string Target { get; init; } = "";
    }
}
