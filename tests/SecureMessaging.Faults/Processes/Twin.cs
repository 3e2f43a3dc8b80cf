using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;

namespace SecureMessaging.Faults.Processes;

/// <summary>All that a client has sent on one connection.</summary>
internal sealed class Tape
{
    private readonly List<byte[]> sent = [];
    private readonly List<ChannelWriter<byte[]>> listeners = [];
    private bool ended;

    public void Record(ReadOnlySpan<byte> bytes)
    {
        lock (sent)
        {
            sent.Add(bytes.ToArray());
            foreach (var listener in listeners)
                listener.TryWrite(sent[^1]);
        }
    }

    public void End()
    {
        lock (sent)
        {
            ended = true;
            listeners.ForEach(listener => listener.TryComplete());
        }
    }

    /// <summary>Null while nothing has been sent.</summary>
    public Twin? Duplicate(int target)
    {
        var bytes = Channel.CreateUnbounded<byte[]>();
        lock (sent)
        {
            if (sent.Count == 0)
                return null;
            sent.ForEach(chunk => bytes.Writer.TryWrite(chunk));
            listeners.Add(bytes.Writer);
            if (ended)
                bytes.Writer.TryComplete();
        }

        return new Twin(bytes.Reader, target);
    }
}

/// <summary>A second connection on which the same bytes arrive. Its replies are counted, not read.</summary>
internal sealed class Twin : IAsyncDisposable
{
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly Task running;

    public Twin(ChannelReader<byte[]> bytes, int target) => running = RunAsync(bytes, target);

    /// <summary>What the node answered to the upgrade; null when it did not answer.</summary>
    public int? Status { get; private set; }

    /// <summary>Bytes of replies after those that came with the status.</summary>
    public long MoreBytes { get; private set; }

    public async ValueTask DisposeAsync()
    {
        socket.Dispose();
        await running;
    }

    private async Task RunAsync(ChannelReader<byte[]> bytes, int target)
    {
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, target);
            await Task.WhenAll(SendAsync(bytes), ReceiveAsync());
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The node is away, closed it, or we did.
        }
    }

    private async Task SendAsync(ChannelReader<byte[]> bytes)
    {
        await foreach (var chunk in bytes.ReadAllAsync())
        {
            for (var sent = 0; sent < chunk.Length;)
                sent += await socket.SendAsync(chunk.AsMemory(sent), SocketFlags.None);
        }
    }

    private async Task ReceiveAsync()
    {
        var buffer = new byte[32 * 1024];
        for (int count; (count = await socket.ReceiveAsync(buffer, SocketFlags.None)) > 0;)
        {
            if (Status is not null)
                MoreBytes += count;
            else if (Encoding.ASCII.GetString(buffer, 0, Math.Min(count, 12)) is ['H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', .. var status]
                && int.TryParse(status, out var code))
                Status = code;
        }
    }
}
