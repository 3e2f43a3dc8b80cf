using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Packaging;

/// <summary>The packages in a build, from its own lists: <c>deps.json</c> for NuGet, <c>package-lock.json</c> for npm.</summary>
internal static partial class ShippedPackages
{
    private static readonly string[] AssetKinds = ["runtime", "native", "runtimeTargets", "resources"];

    /// <param name="project">Such as <c>src/SecureMessaging.Server</c>.</param>
    /// <param name="dependencies">The build's <c>deps.json</c>.</param>
    public static IEnumerable<ThirdPartyPackage> OfNuGet(string project, string dependencies)
    {
        using var lists = JsonDocument.Parse(File.ReadAllText(dependencies));
        using var assets = JsonDocument.Parse(File.ReadAllText(Repository.PathOf(project, "obj", "project.assets.json")));
        var folders = assets.RootElement.GetProperty("packageFolders").EnumerateObject().Select(folder => folder.Name).ToArray();
        var libraries = lists.RootElement.GetProperty("libraries");
        foreach (var library in lists.RootElement.GetProperty("targets").EnumerateObject().Single().Value.EnumerateObject())
        {
            var declared = libraries.GetProperty(library.Name);
            if (declared.GetProperty("type").GetString() == "package" && AssetKinds.Any(kind => library.Value.TryGetProperty(kind, out _)))
                yield return Read(folders.Select(folder => Path.Combine(folder, declared.GetProperty("path").GetString()!)).Single(Directory.Exists));
        }
    }

    /// <summary>Packages that a script of another package contains, and that the lock file does not name. The texts are of their repositories.</summary>
    private static readonly Dictionary<string, (string Licence, string Copyright)> Bundled = new(StringComparer.Ordinal)
    {
        ["@babel/runtime"] = ("MIT", "Copyright (c) 2014-present Sebastian McKenzie and other contributors"),
        ["@radix-ui/react-use-escape-keydown"] = ("MIT", "Copyright (c) 2022 WorkOS"),
    };

    /// <param name="folder">The folder of the lock file and <c>node_modules</c>.</param>
    /// <param name="maps">The source maps of the shipped scripts, which name the packages in them.</param>
    public static IEnumerable<ThirdPartyPackage> OfNpm(string folder, params string[] maps)
    {
        var packages = Locked(folder).ToList();
        var contained = maps.SelectMany(map => PackagesIn(Repository.PathOf(folder, "node_modules", map)));
        foreach (var name in contained.Except(packages.Select(package => package.Name)))
        {
            Assert.True(Bundled.TryGetValue(name, out var known), $"A shipped script contains {name}, which is not in {folder}/package-lock.json.");
            packages.Add(new(name, known.Licence, Template(known.Licence, known.Copyright), []));
        }

        return packages;
    }

    private static SortedSet<string> PackagesIn(string map)
    {
        using var content = JsonDocument.Parse(File.ReadAllText(map));
        return new(
            content.RootElement.GetProperty("sources").EnumerateArray().SelectMany(source => PackageFolder().Matches(source.GetString()!).TakeLast(1))
                .Select(match => match.Groups["name"].Value),
            StringComparer.Ordinal);
    }

    private static IEnumerable<ThirdPartyPackage> Locked(string folder)
    {
        using var list = JsonDocument.Parse(File.ReadAllText(Repository.PathOf(folder, "package-lock.json")));
        foreach (var path in list.RootElement.GetProperty("packages").EnumerateObject().Select(package => package.Name).Where(name => name.Length > 0))
        {
            var name = path[(path.LastIndexOf("node_modules/", StringComparison.Ordinal) + "node_modules/".Length)..];
            // Only compilers read type declarations.
            if (name.StartsWith("@types/", StringComparison.Ordinal))
                continue;
            var directory = Repository.PathOf(folder, path);
            Assert.True(Directory.Exists(directory), $"{directory} is missing: run npm ci in {folder}.");
            using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(directory, "package.json")));
            var licence = manifest.RootElement.GetProperty("license").GetString()!;
            yield return new(name, licence, LicenceFile(directory)
                ?? Template(licence, $"Copyright (c) {Author(manifest.RootElement) ?? $"the authors of {name}"}"), []);
        }
    }

    /// <summary>Name, version and licence of the npm packages in compressed scripts that an assembly embeds, from the scripts' comments.</summary>
    public static IReadOnlyList<string> BannersIn(string assembly)
    {
        var bytes = File.ReadAllBytes(assembly);
        SortedSet<string> banners = new(StringComparer.Ordinal);
        // A gzip member with a file name in its header (RFC 1952 section 2.3.1).
        ReadOnlySpan<byte> start = [0x1f, 0x8b, 0x08, 0x08];
        for (var at = bytes.AsSpan().IndexOf(start); at >= 0;)
        {
            using var script = new StreamReader(new GZipStream(new MemoryStream(bytes, at, bytes.Length - at), CompressionMode.Decompress));
            foreach (Match banner in Banner().Matches(script.ReadToEnd()))
            {
                if (banner.Value.Contains("license", StringComparison.OrdinalIgnoreCase))
                    banners.Add(Spaces().Replace(Version().Replace(banner.Groups["text"].Value.Replace("\n*", "\n", StringComparison.Ordinal), ""),
                        " ").Trim());
            }
            var next = bytes.AsSpan(at + start.Length).IndexOf(start);
            at = next < 0 ? -1 : at + start.Length + next;
        }
        return [.. banners];
    }

    private static ThirdPartyPackage Read(string directory)
    {
        var metadata = XDocument.Load(Directory.GetFiles(directory, "*.nuspec").Single()).Root!.Elements()
            .Single(element => element.Name.LocalName == "metadata");
        string? Value(string name) => metadata.Elements().SingleOrDefault(element => element.Name.LocalName == name)?.Value.Trim();
        var (name, licence) = (Value("id")!, Value("license") ?? "unknown");
        var copyright = Value("copyright") is { Length: > 0 } given ? given : Value("authors")!;
        if (!CopyrightMark().IsMatch(copyright))
            copyright = $"Copyright (c) {copyright}";
        string[] notices =
        [
            .. Directory.GetFiles(directory).Concat(Directory.Exists(Path.Combine(directory, "notices"))
            ? Directory.GetFiles(Path.Combine(directory, "notices")) : [])
                .Where(file => NoticeName().IsMatch(Path.GetFileName(file))).Order(StringComparer.Ordinal).Select(ReadText),
        ];
        return new(name, licence, LicenceFile(directory) ?? Template(licence, copyright), notices);
    }

    private static string? LicenceFile(string directory) =>
        Directory.GetFiles(directory).Where(file => LicenceName().IsMatch(Path.GetFileName(file))).Order(StringComparer.Ordinal).Select(ReadText)
            .FirstOrDefault();

    /// <summary>The licence text for a package that names its licence without including the text.</summary>
    private static string Template(string licence, string copyright)
    {
        var file = Repository.PathOf("tests", "SecureMessaging.Tests", "Packaging", "Licences", $"{licence}.txt");
        Assert.True(File.Exists(file), $"{file} is missing: a shipped package names this licence and does not enclose its text.");
        var text = ReadText(file);
        // Apache's text is fixed and names no holder.
        return text.Contains("[copyright]", StringComparison.Ordinal) ? text.Replace("[copyright]", copyright, StringComparison.Ordinal)
            : $"{copyright}\n\n{text}";
    }

    private static string? Author(JsonElement manifest) => !manifest.TryGetProperty("author", out var author) ? null
        : author.ValueKind == JsonValueKind.String ? author.GetString()
        : author.GetProperty("name").GetString();

    private static string ReadText(string file) =>
        string.Join('\n', File.ReadAllText(file, Encoding.UTF8).Split('\n').Select(line => line.TrimEnd())).Trim('\n', '\uFEFF');

    [GeneratedRegex(@"node_modules/(?<name>(@[^/]+/)?[^/]+)/", RegexOptions.ExplicitCapture, 1_000)]
    private static partial Regex PackageFolder();

    [GeneratedRegex("^licen[sc]e", RegexOptions.IgnoreCase, 1_000)]
    private static partial Regex LicenceName();

    [GeneratedRegex("notice", RegexOptions.IgnoreCase, 1_000)]
    private static partial Regex NoticeName();

    [GeneratedRegex("^(copyright|©)", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1_000)]
    private static partial Regex CopyrightMark();

    [GeneratedRegex(@"/\*[!*](?<text>([^*]|\*(?!/))*)\*/", RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex Banner();

    [GeneratedRegex(@"\bv?\d+\.\d+\.\d+\S*", RegexOptions.None, 1_000)]
    private static partial Regex Version();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1_000)]
    private static partial Regex Spaces();
}
