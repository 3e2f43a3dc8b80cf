using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Compression;
using System.Reflection.Metadata;
using System.Xml.Linq;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Packaging;

/// <summary>The packages that <c>dotnet pack</c> creates from this build.</summary>
public sealed class PackageTests(PackageTests.Packed packed) : IClassFixture<PackageTests.Packed>
{
    private static readonly string[] Names = ["SecureMessaging.Cli", "SecureMessaging.Client", "SecureMessaging.Protocol"];

    // Portable PDB: https://github.com/dotnet/runtime/blob/main/docs/design/specs/PortablePdb-Metadata.md#embedded-source-c-and-vb-compilers
    private static readonly Guid EmbeddedSource = new("0e8a571b-6926-466e-b4ad-8ab04611f5fe");

    public static TheoryData<string> Packages => [.. Names];

    [Fact]
    public void Only_contract_SDK_and_command_line_are_packages_and_share_one_version() => Assert.Equal(
        Names.SelectMany(name => new[] { $"{name}.{VersionTests.Version}.nupkg", $"{name}.{VersionTests.Version}.snupkg" }).Order(StringComparer.Ordinal),
        Directory.GetFiles(packed.Folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Packages))]
    public void A_package_has_its_metadata(string name)
    {
        using var package = ZipFile.OpenRead(Path.Combine(packed.Folder, $"{name}.{VersionTests.Version}.nupkg"));
        using var manifest = package.GetEntry($"{name}.nuspec")!.Open();
        var metadata = XDocument.Load(manifest).Root!.Elements().Single();
        string Value(string element) => metadata.Elements().Single(child => child.Name.LocalName == element).Value;

        Assert.Equal(name, Value("id"));
        Assert.Equal("SecureMessaging contributors", Value("authors"));
        Assert.Equal("MIT", Value("license"));
        Assert.True(Value("description").Length > 40);
        Assert.Contains("messaging", Value("tags"), StringComparison.Ordinal);
        Assert.Equal("icon.png", Value("icon"));
        Assert.Equal("README.md", Value("readme"));
        Assert.Equal(File.ReadAllBytes(Repository.PathOf("src", name, "README.md")), Read(package, "README.md"));
        Assert.Equal(File.ReadAllBytes(Repository.PathOf("LICENSE")), Read(package, "LICENSE"));
        var icon = Read(package, "icon.png");
        Assert.Equal((128, 128), (BinaryPrimitives.ReadInt32BigEndian(icon.AsSpan(16)), BinaryPrimitives.ReadInt32BigEndian(icon.AsSpan(20))));
    }

    [Theory]
    [MemberData(nameof(Packages))]
    public void Symbols_contain_the_sources_and_no_machine_path(string name)
    {
        using var symbols = ZipFile.OpenRead(Path.Combine(packed.Folder, $"{name}.{VersionTests.Version}.snupkg"));
        var file = name == "SecureMessaging.Cli" ? "secmsg.pdb" : $"{name}.pdb";
        using var provider = MetadataReaderProvider.FromPortablePdbStream(
            new MemoryStream(Read(symbols, symbols.Entries.Single(entry => entry.Name == file).FullName)));
        var reader = provider.GetMetadataReader();
        var embedded = reader.CustomDebugInformation.Select(reader.GetCustomDebugInformation)
            .Where(information => reader.GetGuid(information.Kind) == EmbeddedSource).Select(information => information.Parent).ToHashSet();
        Assert.NotEmpty(reader.Documents);
        Assert.All(reader.Documents, document =>
        {
            var path = reader.GetString(reader.GetDocument(document).Name);
            Assert.True(path.StartsWith("/_/", StringComparison.Ordinal), path);
            Assert.True(embedded.Contains(document), $"{path} is not embedded.");
        });
    }

    [Fact]
    public void The_tool_is_named_secmsg_and_contains_the_licences_of_its_packages()
    {
        using var package = ZipFile.OpenRead(Path.Combine(packed.Folder, $"SecureMessaging.Cli.{VersionTests.Version}.nupkg"));
        using var settings = new MemoryStream(Read(package, package.Entries.Single(entry => entry.Name == "DotnetToolSettings.xml").FullName));
        Assert.Equal("secmsg", XDocument.Load(settings).Descendants("Command").Single().Attribute("Name")!.Value);
        Assert.Equal(
            File.ReadAllBytes(Repository.PathOf("src", "SecureMessaging.Cli", "THIRD-PARTY-NOTICES.txt")),
            Read(package, package.Entries.Single(entry => entry.Name == "THIRD-PARTY-NOTICES.txt").FullName));
    }

    private static byte[] Read(ZipArchive archive, string name)
    {
        using var content = (archive.GetEntry(name) ?? throw new InvalidOperationException($"{name} is missing.")).Open();
        using var copy = new MemoryStream();
        content.CopyTo(copy);
        return copy.ToArray();
    }

    /// <summary>Packs the whole solution once, without a build.</summary>
    public sealed class Packed : IAsyncLifetime
    {
        private readonly TestDirectory directory = new();

        public string Folder => directory.Path;

        public async ValueTask InitializeAsync()
        {
            var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, UseShellExecute = false, WorkingDirectory = Repository.Root };
            foreach (var argument in new[] { "pack", "SecureMessaging.sln", "--no-build", "-c", Repository.Configuration, "-o", directory.Path,
                "-nologo", "-v", "quiet" })
                start.ArgumentList.Add(argument);
            using var pack = Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start.");
            var output = await pack.StandardOutput.ReadToEndAsync();
            await pack.WaitForExitAsync();
            Assert.True(pack.ExitCode == 0, output);
        }

        public ValueTask DisposeAsync()
        {
            directory.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
