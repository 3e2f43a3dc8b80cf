using System.Text;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary><c>authorization.md</c> beside this file: the permissions of every caller.</summary>
internal static class AuthorizationTable
{
    private static readonly string[] Place = ["tests", "SecureMessaging.Tests", "Contract", "Authorization", "authorization.md"];

    public static string Name { get; } = string.Join('/', Place);

    public static Dictionary<(string Operation, string Object), string[]> Read()
    {
        var rows = new Dictionary<(string, string), string[]>();
        foreach (var line in File.ReadLines(Repository.PathOf(Place)).Where(line => line.StartsWith("| `", StringComparison.Ordinal)))
        {
            string[] cells = [.. line.Trim('|', ' ').Split('|').Select(cell => cell.Trim())];
            Assert.True(cells.Length == 2 + Scene.Callers.Length, $"{Name}: a row has {2 + Scene.Callers.Length} cells: {line}");
            Assert.True(rows.TryAdd((cells[0].Trim('`'), cells[1]), cells[2..]), $"{Name}: twice: {line}");
        }

        return rows;
    }

    public static string Row(Operation operation, string owner, IEnumerable<string> cells) => $"| `{operation.Name}` | {owner} | {string.Join(" | ", cells)} |";

    public static void Write(IEnumerable<string> rows)
    {
        var text = new StringBuilder("""
            # Who may do what

            A row for every operation of every door, found by reflection. A cell is the result for one caller: `ok`, or the
            HTTP status of the error. 401: not authenticated. 403: the role does not allow it. 404: unknown, or no access.
            400 and 409: access was granted, and the request itself was rejected. `AuthorizationTests` executes every cell on
            both databases and fails when a row is missing, superfluous or wrong.

            | caller | who it is |
            |---|---|
            | anonymous | a request without a token |
            | expired | a token that has expired |
            | audience | a token for another audience |
            | stranger | a user who was never a member of the room |
            | ex-member | a user who was removed from the room |
            | member, admin, owner | members of the room with this role |
            | operator | an administrator of the server who is not a member |
            | disabled | a disabled account, with a token from before |

            The object is a device, session, entry or membership of the caller (`own`) or of another user, otherwise the room.

            An ex-member reads by `ChatHub.Sync` only the entries of the own membership, up to the own leaving.


            """.ReplaceLineEndings("\n"));
        text.Append(
            $"| operation | object | {string.Join(" | ", Scene.Callers)} |\n|---|---|{string.Concat(Enumerable.Repeat("---|", Scene.Callers.Length))}\n");
        foreach (var row in rows)
            text.Append(row).Append('\n');
        File.WriteAllText(Repository.PathOf(Place), text.ToString());
    }
}
