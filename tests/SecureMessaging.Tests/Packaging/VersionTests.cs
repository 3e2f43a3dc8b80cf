using System.Text.Json;
using System.Xml.Linq;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Packaging;

/// <summary><c>Version</c> in Directory.Build.props is the only source of the version.</summary>
public sealed class VersionTests
{
    internal static string Version { get; } = XDocument.Load(Repository.PathOf("Directory.Build.props")).Descendants("Version").Single().Value;

    [Theory]
    [InlineData("app")]
    [InlineData("sdk")]
    public void The_web_packages_have_the_version_of_the_solution(string folder)
    {
        using var manifest = JsonDocument.Parse(File.ReadAllText(Repository.PathOf("src", "web", folder, "package.json")));
        Assert.Equal(Version, manifest.RootElement.GetProperty("version").GetString());
    }

    [Fact]
    public void No_project_has_a_version_of_its_own() => Assert.DoesNotContain(
        Directory.EnumerateFiles(Repository.Root, "*.csproj", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 3 }),
        project => File.ReadAllText(project).Contains("<Version", StringComparison.Ordinal));
}
