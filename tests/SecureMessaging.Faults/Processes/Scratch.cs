using System.Collections.Concurrent;
using System.Diagnostics;

namespace SecureMessaging.Faults.Processes;

/// <summary>Directories under /tmp that go away with the harness, however it ends, short of a SIGKILL.</summary>
internal static class Scratch
{
    private static readonly ConcurrentDictionary<string, byte> Directories = new();

    /// <summary>A new directory that other users can pass through but not list.</summary>
    public static string Create(string prefix)
    {
        var path = Directory.CreateTempSubdirectory(prefix).FullName;
        Directories[path] = 0;
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        return path;
    }

    public static void Delete(string path)
    {
        Directory.Delete(path, recursive: true);
        Directories.TryRemove(path, out _);
    }

    /// <summary>For an interrupted run: whatever is mounted in them is let go first.</summary>
    public static void DeleteAll()
    {
        foreach (var path in Directories.Keys)
        {
            if (Directory.Exists(Path.Combine(path, "mount")))
                Process.Start("umount", ["-l", "-q", Path.Combine(path, "mount")]).WaitForExit(5000);
            try
            {
                Delete(path);
            }
            catch (IOException)
            {
                // A killed process still wrote. The remaining files are small and in /tmp.
            }
        }
    }
}
