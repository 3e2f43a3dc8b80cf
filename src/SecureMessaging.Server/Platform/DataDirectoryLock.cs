namespace SecureMessaging.Server.Platform;

/// <summary>Held for as long as this process owns the embedded database, so that a second one refuses to start instead of corrupting or blocking it.</summary>
internal sealed class DataDirectoryLock : IDisposable
{
    private readonly FileStream file;

    public DataDirectoryLock(string directory)
    {
        try
        {
            file = Directories.OpenPrivateFile(Path.Combine(directory, "server.lock"), FileShare.None);
        }
        catch (IOException exception)
        {
            throw new StartException(
                $"Another server is using the data directory {directory}. Stop it, or give this one its own with --Server:DataDirectory=PATH. "
                + "Several nodes need Postgres (ConnectionStrings:Postgres).",
                exception);
        }
    }

    public void Dispose() => file.Dispose();
}
