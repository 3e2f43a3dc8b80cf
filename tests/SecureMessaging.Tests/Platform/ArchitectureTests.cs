using System.Text.RegularExpressions;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The server's folders and their dependencies, which point down only: a folder may use folders below it in <see cref="Allowed"/>.</summary>
/// <remarks>
/// Dependencies are using directives, which the build keeps exact (IDE0005), and names qualified from the root. Files beside <c>Program.cs</c>
/// compose the server and may use every folder. Platform is visible to all of its own folders.
/// </remarks>
public sealed partial class ArchitectureTests
{
    private const string Root = "src/SecureMessaging.Server/";

    /// <summary>Each folder and its dependencies, from top to bottom. Folders of one group are neighbours and do not use each other.</summary>
    private static readonly (string Folder, string Uses)[][] Allowed =
    [
        [
            ("Doors/GraphQL",
                "Admin Privacy Notifications Cluster Delivery Encryption Rooms RoomLog Accounts Limiting "
                + "Platform/Diagnostics Platform/Identity Platform/Http Platform/Data Platform"),
            ("Doors/Hub", "Cluster Delivery RoomLog Limiting Platform/Diagnostics Platform/Identity Platform/Http Platform"),
            ("Doors/OpenApi", "Privacy Notifications Encryption Rooms Accounts Trust Mls Platform/Diagnostics Platform/Http Platform/Data Platform/Startup"),
            ("Doors/Web", "Platform/Http"),
        ],
        [
            ("Admin", "Cluster Rooms Accounts Platform/Diagnostics Platform/Identity Platform/Http Platform/Keys Platform/Data Platform/Startup Platform"),
            ("Privacy", "Rooms RoomLog Accounts Platform/Identity Platform/Http Platform/Data Platform"),
            ("Notifications", "Delivery Accounts Platform/Diagnostics Platform/Identity Platform/Http Platform/Data Platform/Startup Platform"),
            ("Retention", "Encryption RoomLog Accounts Platform/Diagnostics Platform/Data Platform"),
        ],
        [("Cluster", "Delivery Encryption RoomLog Accounts Platform/Identity Platform/Http Platform/Keys Platform/Data Platform/Startup Platform")],
        [("Delivery", "Encryption RoomLog Accounts Platform/Diagnostics Platform/Data Platform")],
        [("Encryption", "Rooms RoomLog Accounts Limiting Trust Mls Platform/Diagnostics Platform/Identity Platform/Http Platform/Data Platform")],
        [("Rooms", "RoomLog Accounts Trust Platform/Identity Platform/Http Platform/Keys Platform/Data Platform")],
        [("RoomLog", "Limiting Mls Platform/Diagnostics Platform/Identity Platform/Http Platform/Keys Platform/Data Platform")],
        [("Accounts", "Limiting Platform/Identity Platform/Http Platform/Keys Platform/Data Platform/Startup Platform")],
        [("Limiting", "Platform/Identity Platform/Http Platform/Data Platform"), ("Trust", "Mls")],
        [("Mls", "Platform")],
        [("Platform/Diagnostics", "Platform/Http Platform/Startup")],
        [("Platform/Identity", "Platform/Http")],
        [("Platform/Http", "Platform/Startup"), ("Platform/Keys", "Platform/Data Platform/Startup")],
        [("Platform/Data", "Platform/Startup")],
        [("Platform/Startup", "")],
        [("Platform", "")],
    ];

    private static IEnumerable<(string From, string To)> AllowedArrows => Allowed.SelectMany(group => group)
        .SelectMany(row => Split(row.Uses).Select(to => (row.Folder, to)));

    [Fact]
    public void The_table_of_dependencies_points_down_only()
    {
        var place = Allowed.SelectMany((group, index) => group.Select(row => (row.Folder, index)))
            .ToDictionary(row => row.Folder, row => row.index, StringComparer.Ordinal);
        Assert.All(AllowedArrows, arrow => Assert.True(place[arrow.To] > place[arrow.From], $"{arrow.To} does not stand below {arrow.From}."));
    }

    [Fact]
    public void The_code_has_exactly_the_dependencies_of_the_table()
    {
        var found = Arrows(Sources()).ToList();
        var wrong = found.Where(arrow => !AllowedArrows.Contains((arrow.From, arrow.To)))
            .Select(arrow => $"{arrow.File} uses {arrow.To}, which the table does not allow.");
        var unused = AllowedArrows.Except(found.Select(arrow => (arrow.From, arrow.To)))
            .Select(arrow => $"{arrow.From} does not use {arrow.To}: remove it from the table.");
        Assert.Empty(wrong.Concat(unused));
    }

    [Theory]
    [InlineData("Rooms/X.cs", "using SecureMessaging.Server.Doors.Hub.Transport;", "Rooms", "Doors/Hub")]
    [InlineData("Rooms/X.cs", "using static SecureMessaging.Server.Encryption.WelcomeStore;", "Rooms", "Encryption")]
    [InlineData("Doors/Web/X.cs", "using Schema = SecureMessaging.Server.Doors.GraphQL.SchemaDocument;", "Doors/Web", "Doors/GraphQL")]
    [InlineData("Rooms/X.cs", "class X { SecureMessaging.Server.Cluster.NodeBus? bus; }", "Rooms", "Cluster")]
    [InlineData("Rooms/X.cs", "class X { Cluster.NodeBus? bus; }", "Rooms", "Cluster")]
    [InlineData("Accounts/X.cs", "class X { SecureMessaging.Server.Rooms.RoomStore? rooms; }", "Accounts", "Rooms")]
    [InlineData("Accounts/X.cs", "class X { Rooms.RoomStore? rooms; }", "Accounts", "Rooms")]
    [InlineData("Platform/Data/X.cs", "using SecureMessaging.Server.Platform.Http;", "Platform/Data", "Platform/Http")]
    public void A_forbidden_dependency_is_found(string file, string code, string from, string to)
    {
        Assert.Contains((from, to), Arrows([(file, code)]).Select(arrow => (arrow.From, arrow.To)));
        Assert.DoesNotContain((from, to), AllowedArrows);
    }

    private static IEnumerable<(string Name, string Text)> Sources() =>
        from path in Directory.EnumerateFiles(Repository.PathOf(Root), "*.cs", SearchOption.AllDirectories)
        let name = Path.GetRelativePath(Repository.PathOf(Root), path).Replace('\\', '/')
        where name.Contains('/') && !name.StartsWith("obj/", StringComparison.Ordinal) && !name.StartsWith("bin/", StringComparison.Ordinal)
        select (name, File.ReadAllText(path));

    private static IEnumerable<(string From, string To, string File)> Arrows(IEnumerable<(string Name, string Text)> sources) =>
        from source in sources
        let folder = FolderOf(source.Name[..source.Name.LastIndexOf('/')])
        from to in Directive().Matches(source.Text).Select(match => match.Groups["name"].Value)
            .Concat(Qualified().Matches(CommentOrText().Replace(source.Text, "")).Select(match => match.Groups["name"].Value))
            .Select(name => FolderOf(name.Replace('.', '/')))
        where to != folder
        select (folder, to, source.Name);

    /// <summary>The folder of the table: subfolders of Doors and Platform, otherwise the first name.</summary>
    private static string FolderOf(string path)
    {
        var names = path.Split('/');
        var known = Allowed.SelectMany(group => group).Select(row => row.Folder);
        return names.Length > 1 && known.Contains($"{names[0]}/{names[1]}", StringComparer.Ordinal) ? $"{names[0]}/{names[1]}" : names[0];
    }

    private static string[] Split(string names) => names.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"^using (static |\w+ = )?SecureMessaging\.Server\.(?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Directive();

    [GeneratedRegex(
        @"(?<![\w.""])(?<!using |namespace |static |= )(SecureMessaging\.Server\.(?<name>\w+(\.[A-Z]\w*)+)"
        + @"|(?<name>(Doors|Admin|Privacy|Notifications|Retention|Cluster|Delivery|Encryption|Rooms|RoomLog|Accounts|Limiting|"
        + @"Trust|Mls|Platform)(\.[A-Z]\w*)+))",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Qualified();

    [GeneratedRegex(@"//[^\n]*|""""""[\s\S]*?""""""|""([^""\\\n]|\\.)*""", RegexOptions.ExplicitCapture)]
    private static partial Regex CommentOrText();
}
