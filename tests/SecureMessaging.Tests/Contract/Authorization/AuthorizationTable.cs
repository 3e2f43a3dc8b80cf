using System.Text;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary><c>authorization.md</c> beside this file: who may do what.</summary>
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

            Every operation of every door, found by reflection, and what each caller gets: `ok`, or the status that its error has over HTTP (401 sign in, 403 your role does
            not allow it, 404 not there for you, 400 and 409 let through and refused for what was asked). `AuthorizationTests` carries out every cell on both databases and
            fails when a row is missing, superfluous or untrue.

            Callers: nobody; a token that has expired; one for another audience; somebody who was never in the room; who was removed from it; member, admin and owner of it;
            an administrator of the server, who is not in it; an account that is disabled, with a token from before. The object is the caller's own device, session, entry or
            membership, or another's, and otherwise the room, or nobody's.


            """.ReplaceLineEndings("\n"));
        text.Append($"| operation | object | {string.Join(" | ", Scene.Callers)} |\n|---|---|{string.Concat(Enumerable.Repeat("---|", Scene.Callers.Length))}\n");
        foreach (var row in rows)
            text.Append(row).Append('\n');
        File.WriteAllText(Repository.PathOf(Place), text.ToString());
    }
}
