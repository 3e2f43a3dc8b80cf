using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary>Hazard 31: every operation × every caller × own and others' objects, carried out for real.</summary>
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
            Say there who may what: | `operation` | object | {string.Join(" | ", Scene.Callers)} |. Or run this class with {UpdateVariable}=1, which writes what the server does today,
            and read the diff. An operation that takes a body, an input or parameters that {nameof(Calls)} cannot guess needs a line there, too, or all that is seen of it is a 400.
            """);
        var superfluous = rows.Keys.Except(wanted).Select(key => $"`{key.Item1}` ({key.Item2})").ToList();
        Assert.True(superfluous.Count == 0, $"{AuthorizationTable.Name} has rows for what is not there: {string.Join(", ", superfluous)}.");
    }

    [Fact]
    public async Task Every_caller_gets_what_its_row_says()
    {
        // Of its own, because accounts are disabled and everybody is signed out.
        await using var node = await server.DedicatedAsync();
        await using var scene = await Scene.CreateAsync(node);
        // Hub and sockets first: they hold connections, which signing out everywhere would close.
        var operations = Operations.Of(node).OrderBy(operation => operation is HubOperation ? 0 : operation is GraphQLOperation { Root: "subscription" } ? 1 : 2).ToList();
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
            AuthorizationTable.Write(Operations.Of(node).SelectMany(operation => operation.Objects.Select(owner => AuthorizationTable.Row(operation, owner, seen[(operation.Name, owner)]))));
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
