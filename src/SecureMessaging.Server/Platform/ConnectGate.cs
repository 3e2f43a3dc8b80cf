namespace SecureMessaging.Server.Platform;

/// <summary>
/// Lets connections in a few at a time, in the order in which they came. When a node dies its clients come here all at once; together they would wait for
/// the database's connections until each of them timed out, be refused, and come again. Waiting here costs a socket, and takes nothing from those who send.
/// </summary>
internal sealed class ConnectGate : IDisposable
{
    /// <summary>Half of the database's connections.</summary>
    private const int Width = 16;

    private readonly SemaphoreSlim slots = new(Width);

    public async Task PassAsync(Func<Task> step, CancellationToken cancellationToken)
    {
        await slots.WaitAsync(cancellationToken);
        try
        {
            await step();
        }
        finally
        {
            slots.Release();
        }
    }

    public void Dispose() => slots.Dispose();
}
