using System.Collections.Frozen;
using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;

namespace SecureMessaging.Server.Web;

/// <summary>One file of the app, as it is sent.</summary>
internal sealed class WebFile
{
    private const int WorthCompressing = 512;
    private static readonly string[] Texts = [".html", ".js", ".css", ".svg", ".json", ".webmanifest", ".txt", ".map", ".wasm"];

    private readonly byte[] content;
    private readonly byte[]? brotli;
    private readonly Lazy<byte[]>? gzip;
    private readonly string hash;

    /// <param name="name">The path within the app.</param>
    /// <param name="content">The file itself.</param>
    /// <param name="brotli">The same, compressed by the build of the app at a quality that takes too long here.</param>
    public WebFile(string name, byte[] content, byte[]? brotli)
    {
        this.content = content;
        var extension = Path.GetExtension(name);
        hash = Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 16));
        ContentType = extension switch
        {
            ".html" => "text/html; charset=utf-8",
            ".js" or ".mjs" => "text/javascript; charset=utf-8",
            ".css" => "text/css; charset=utf-8",
            ".svg" => "image/svg+xml",
            ".png" => "image/png",
            ".ico" => "image/x-icon",
            ".webp" => "image/webp",
            ".woff2" => "font/woff2",
            ".wasm" => "application/wasm",
            ".json" or ".map" => "application/json",
            ".webmanifest" => "application/manifest+json",
            ".txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        };
        // The build puts a hash of the content into these names; all others must be asked for anew, the service worker above all.
        CacheControl = name.StartsWith("assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache";
        if (content.Length < WorthCompressing || !Texts.Contains(extension, StringComparer.Ordinal))
            return;
        this.brotli = brotli;
        gzip = new(() => Compress(content));
    }

    public string ContentType { get; }

    public string CacheControl { get; }

    public bool IsCompressible => gzip is not null;

    /// <summary>The bytes in the encoding that the client wants most. Gzip is made when it is first asked for.</summary>
    public (ReadOnlyMemory<byte> Bytes, string? Encoding, string ETag) For(double brotliWeight, double gzipWeight) =>
        brotliWeight > 0 && brotliWeight >= gzipWeight && brotli is not null ? (brotli, "br", $"\"{hash}-br\"")
        : gzipWeight > 0 && gzip is not null ? (gzip.Value, "gzip", $"\"{hash}-gz\"")
        : (content, null, $"\"{hash}\"");

    private static byte[] Compress(byte[] content)
    {
        using var output = new MemoryStream();
        using (var stream = new GZipStream(output, CompressionLevel.SmallestSize))
            stream.Write(content);
        return output.ToArray();
    }
}

/// <summary>The files of the app by their path, all in memory: from the build, or from a folder of the operator.</summary>
internal static class WebFiles
{
    public const string Index = "index.html";
    private const string Prefix = "web/";

    /// <summary>Of a file that holds another one, compressed.</summary>
    private const string Brotli = ".br";

    public static FrozenDictionary<string, WebFile> Read(WebOptions options)
    {
        if (!options.Enabled)
            return FrozenDictionary<string, WebFile>.Empty;
        var files = string.IsNullOrEmpty(options.Root) ? Embedded() : InFolder(Path.GetFullPath(options.Root));
        var all = files.ToDictionary(file => file.Name, file => file.Content, StringComparer.Ordinal);
        return all.Where(file => !file.Key.EndsWith(Brotli, StringComparison.Ordinal))
            .SelectMany(file => Paths(file.Key).Select(path => KeyValuePair.Create(path, new WebFile(file.Key, file.Value, all.GetValueOrDefault(file.Key + Brotli)))))
            .ToFrozenDictionary(StringComparer.Ordinal);
    }

    public static bool Exist(WebOptions options) =>
        options.Enabled && (!string.IsNullOrEmpty(options.Root) || Assembly.GetExecutingAssembly().GetManifestResourceInfo(Prefix + Index) is not null);

    private static IEnumerable<string> Paths(string name) => name == Index ? ["/", $"/{Index}"] : [$"/{name}"];

    private static IEnumerable<(string Name, byte[] Content)> InFolder(string root) =>
        Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories)
            .Select(path => (Path.GetRelativePath(root, path).Replace(Path.DirectorySeparatorChar, '/'), File.ReadAllBytes(path)));

    private static IEnumerable<(string Name, byte[] Content)> Embedded()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(name => (name[Prefix.Length..].Replace('\\', '/'), Read(assembly.GetManifestResourceStream(name)!)));
    }

    private static byte[] Read(Stream stream)
    {
        using (stream)
        {
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            return content;
        }
    }
}
