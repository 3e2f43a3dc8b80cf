namespace SecureMessaging.Server.Platform.Data;

/// <summary>Held while this process owns the embedded database: a second process does not start, instead of corrupting or blocking it.</summary>
internal sealed class DataDirectoryLock : IDisposable
{
    private const int WouldBlock = 11;
    private const int SharingViolation = unchecked((int)0x80070020);

    private readonly FileStream file;

    public DataDirectoryLock(string directory)
    {
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            file = new FileStream(Path.Combine(directory, "server.lock"), options);
        }
        catch (IOException exception) when (exception.HResult is WouldBlock or SharingViolation)
        {
            throw new StartException(
                $"Another server is already using the data directory {directory}. Stop it, or give this one its own with --Server:DataDirectory=PATH. "
                + "Several nodes need Postgres (ConnectionStrings:Postgres).",
                exception);
        }
    }

    public void Dispose() => file.Dispose();
}
