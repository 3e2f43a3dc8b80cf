using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary>Every operation × every caller × own and others' objects, each one executed.</summary>
public abstract class AuthorizationTests(TestServer server)
{
    private const string UpdateVariable = "SECUREMESSAGING_UPDATE_SNAPSHOTS";

    private static bool Updates => Environment.GetEnvironmentVariable(UpdateVariable) == "1";

    [Fact]
    public void Every_operation_has_its_row_and_every_row_its_operation()
    {
        if (Updates)
            return;
        var (rows, operations) = (AuthorizationTable.Read(), Operations.Of(server));
        var wanted = operations.SelectMany(operation => operation.Objects.Select(owner => (operation.Name, owner))).ToHashSet();
        var missing = wanted.Except(rows.Keys).Select(key => $"`{key.Item1}` ({key.Item2})").ToList();
        Assert.True(missing.Count == 0, $"""
            {AuthorizationTable.Name} has no row for {string.Join(", ", missing)}.
            Add it: | `operation` | object | {string.Join(" | ", Scene.Callers)} |
            Or run this class with {UpdateVariable}=1, which writes the results of the server, and read the diff.
            An operation with a body, an input or parameters that {nameof(Calls)} cannot guess also needs a line there; otherwise every result is 400.
            """);
        var superfluous = rows.Keys.Except(wanted).Select(key => $"`{key.Item1}` ({key.Item2})").ToList();
        Assert.True(superfluous.Count == 0, $"{AuthorizationTable.Name} has rows of unknown operations: {string.Join(", ", superfluous)}.");
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Every_caller_gets_the_result_of_its_row()
    {
        // A dedicated server, because accounts are disabled and all sessions end.
        await using var node = await server.DedicatedAsync();
        await using var scene = await Scene.CreateAsync(node);
        // Hub and GraphQL sockets first: signing out everywhere would close their connections.
        var operations = Operations.Of(node)
            .OrderBy(operation => operation is HubOperation ? 0 : operation is GraphQLOperation { Root: "subscription" } ? 1 : 2).ToList();
        var seen = new Dictionary<(string, string), string[]>();
        foreach (var operation in operations)
        {
            foreach (var owner in operation.Objects)
            {
                var cells = new string[Scene.Callers.Length];
                for (var i = 0; i < cells.Length; i++)
                    cells[i] = await scene.TryAsync(operation, owner == "another's", Scene.Callers[i]);
                seen[(operation.Name, owner)] = cells;
            }
        }

        if (Updates)
        {
            AuthorizationTable.Write(Operations.Of(node)
                .SelectMany(operation => operation.Objects.Select(owner => AuthorizationTable.Row(operation, owner, seen[(operation.Name, owner)]))));
            return;
        }

        var rows = AuthorizationTable.Read();
        var untrue =
            from operation in operations
            from owner in operation.Objects
            let cells = seen[(operation.Name, owner)]
            where rows.TryGetValue((operation.Name, owner), out var row) && !row.SequenceEqual(cells)
            let different = Scene.Callers.Zip(rows[(operation.Name, owner)], cells).Where(cell => cell.Second != cell.Third)
            select $"{operation.Name} ({owner}): {string.Join("; ", different.Select(cell => $"{cell.First} should get {cell.Second} and gets {cell.Third}"))}";
        Assert.Empty(untrue);
    }
}

public sealed class AuthorizationTestsOnSqlite(SqliteServer server) : AuthorizationTests(server);

public sealed class AuthorizationTestsOnPostgres(PostgresServer server) : AuthorizationTests(server);
