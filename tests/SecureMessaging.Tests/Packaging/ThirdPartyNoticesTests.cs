using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Packaging;

/// <summary>
/// What is shipped names the software of others in it, with the texts of their licences; and only licences that ask for no more than that are in it.
/// </summary>
public sealed class ThirdPartyNoticesTests
{
    private const string FileName = "THIRD-PARTY-NOTICES.txt";
    private const string Server = "src/SecureMessaging.Server";
    private const string Cli = "src/SecureMessaging.Cli";
    private const string Playground = "src/web/playground";

    private static readonly string[] Permissive = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PostgreSQL", "Python-2.0"];

    [Fact]
    public void The_server_lists_each_shipped_package_with_its_licence()
    {
        var assembly = Repository.BuiltAssembly(Server);
        ThirdPartyPackage[] packages =
        [
            .. ShippedPackages.OfNuGet(Server, Path.ChangeExtension(assembly, "deps.json")),
            .. ShippedPackages.OfNpm(Playground, "graphiql/graphiql.min.js.map"),
        ];
        var banners = ShippedPackages.BannersIn(Path.Combine(Path.GetDirectoryName(assembly)!, "Scalar.AspNetCore.dll"));
        Assert.Contains(banners, banner => banner.Contains("vue", StringComparison.Ordinal));
        Check(Server, assembly, "The server", packages,
        [
            "Names without a dot are npm packages: the GraphQL playground is made of them.",
            "SQLitePCLRaw.lib.e_sqlite3 contains SQLite, which is in the public domain.",
            "The web app has a file of its own: third-party-licences.txt, which the server serves beside the app.",
            $"Scalar.AspNetCore contains a script made of npm packages. Their comments in it:\n" + string.Join('\n', banners.Select(banner => $"  {banner}")),
        ]);
    }

    [Fact]
    public void The_command_line_lists_each_shipped_package_with_its_licence()
    {
        var assembly = Repository.PathOf(Path.GetRelativePath(Repository.Root, Path.GetDirectoryName(Repository.BuiltAssembly(Server))!)
            .Replace("SecureMessaging.Server", "SecureMessaging.Cli", StringComparison.Ordinal), "secmsg.dll");
        Check(Cli, assembly, "secmsg", [.. ShippedPackages.OfNuGet(Cli, Path.ChangeExtension(assembly, "deps.json"))],
            ["SQLitePCLRaw.lib.e_sqlite3 contains SQLite, which is in the public domain."]);
    }

    private static void Check(string project, string assembly, string program, ThirdPartyPackage[] packages, string[] remarks)
    {
        Assert.NotEmpty(packages);
        Assert.All(packages, package => Assert.Contains(package.Licence, Permissive));
        Snapshot.Matches(ThirdPartyNotices.Write(program, packages, remarks), project, FileName);
        // Beside the program, from where publish and pack take it.
        var shipped = Path.Combine(Path.GetDirectoryName(assembly)!, FileName);
        Assert.True(File.Exists(shipped), $"{shipped} is missing.");
        Assert.Equal(File.ReadAllText(Repository.PathOf(project, FileName)), File.ReadAllText(shipped));
    }
}
