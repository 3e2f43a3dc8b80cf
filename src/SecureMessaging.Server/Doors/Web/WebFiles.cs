using System.Collections.Frozen;
using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.Web;

/// <summary>One file of the app, in all encodings.</summary>
internal sealed class WebFile
{
    private const int WorthCompressing = 512;
    private static readonly string[] Texts = [".html", ".js", ".css", ".svg", ".json", ".webmanifest", ".txt", ".map", ".wasm"];

    private readonly byte[] content;
    private readonly byte[]? brotli;
    private readonly Lazy<byte[]>? gzip;
    private readonly string hash;

    /// <summary>The app's build provides <paramref name="brotli"/>, at a quality that is too slow at run time.</summary>
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
        // The build puts a hash of the content into these names. Clients must revalidate all others, in particular the service worker.
        CacheControl = name.StartsWith("assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache";
        if (content.Length < WorthCompressing || !Texts.Contains(extension, StringComparer.Ordinal))
            return;
        this.brotli = brotli;
        gzip = new(() => Compress(content));
    }

    public string ContentType { get; }

    public string CacheControl { get; }

    public bool IsCompressible => gzip is not null;

    /// <summary>The content in the client's preferred encoding. Gzip is computed at the first request.</summary>
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

/// <summary>The app's files by path, in memory: from the server's build, or from the operator's folder.</summary>
internal static class WebFiles
{
    public const string Index = "index.html";
    private const string Prefix = "web/";

    private const string Brotli = ".br";

    public static FrozenDictionary<string, WebFile> Read(WebOptions options)
    {
        if (!options.Enabled)
            return FrozenDictionary<string, WebFile>.Empty;
        var all = string.IsNullOrEmpty(options.Root) ? EmbeddedFile.ReadFolder(Prefix) : InFolder(Path.GetFullPath(options.Root));
        return all.Where(file => !file.Key.EndsWith(Brotli, StringComparison.Ordinal))
            .SelectMany(file => Paths(file.Key).Select(
                path => KeyValuePair.Create(path, new WebFile(file.Key, file.Value, all.GetValueOrDefault(file.Key + Brotli)))))
            .ToFrozenDictionary(StringComparer.Ordinal);
    }

    public static bool Exist(WebOptions options) =>
        options.Enabled && (!string.IsNullOrEmpty(options.Root) || Assembly.GetExecutingAssembly().GetManifestResourceInfo(Prefix + Index) is not null);

    private static IEnumerable<string> Paths(string name) => name == Index ? ["/", $"/{Index}"] : [$"/{name}"];

    private static Dictionary<string, byte[]> InFolder(string root) => Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories)
        .ToDictionary(path => Path.GetRelativePath(root, path).Replace(Path.DirectorySeparatorChar, '/'), File.ReadAllBytes, StringComparer.Ordinal);
}
