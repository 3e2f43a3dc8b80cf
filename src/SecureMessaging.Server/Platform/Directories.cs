using System.Runtime.InteropServices;

namespace SecureMessaging.Server.Platform;

/// <summary>Directories and files that only the server's account can read.</summary>
internal static class Directories
{
    private const UnixFileMode OwnerOnlyDirectory = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerOnlyFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const int FileExists = 17;

    public static void CreatePrivate(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(path, OwnerOnlyDirectory);
    }

    /// <summary>Writes a new file completely or not at all. False: another process created it first.</summary>
    public static bool TryCreatePrivateFile(string path, ReadOnlySpan<byte> content)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnlyFile;
        using (var stream = new FileStream(temporary, options))
        {
            stream.Write(content);
            stream.Flush(flushToDisk: true);
        }

        // On Unix, File.Move checks for the target and then renames over it, so two processes could both succeed. A hard link fails if the target
        // exists.
        if (!OperatingSystem.IsWindows())
        {
            var linked = Link(temporary, path) == 0;
            var exists = !linked && Marshal.GetLastPInvokeError() == FileExists;
            if (linked || exists)
            {
                File.Delete(temporary);
                return linked;
            }
        }

        // Windows, or a file system without hard links.
        try
        {
            File.Move(temporary, path, overwrite: false);
            return true;
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(temporary);
            return false;
        }
    }

    [DllImport("libc", EntryPoint = "link", SetLastError = true, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Link([MarshalAs(UnmanagedType.LPUTF8Str)] string existing, [MarshalAs(UnmanagedType.LPUTF8Str)] string added);
}
