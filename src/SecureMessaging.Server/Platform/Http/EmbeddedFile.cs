namespace SecureMessaging.Server.Platform.Http;

/// <summary>Files embedded in the assembly by the build.</summary>
internal static class EmbeddedFile
{
    /// <summary>The files of a folder, by their path in it.</summary>
    public static Dictionary<string, byte[]> ReadFolder(string folder) => typeof(EmbeddedFile).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(folder, StringComparison.Ordinal))
        .ToDictionary(name => name[folder.Length..].Replace('\\', '/'), Read, StringComparer.Ordinal);

    public static byte[] Read(string name)
    {
        using var stream = typeof(EmbeddedFile).Assembly.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"{name} is not embedded.");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }
}
