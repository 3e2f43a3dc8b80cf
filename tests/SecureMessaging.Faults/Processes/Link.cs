using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Faults.Processes;

/// <summary>A TCP proxy between two parts, on which the network can be made to fail.</summary>
internal sealed class Link : IAsyncDisposable
{
    private readonly int target;
    private readonly TcpListener listener;
    private readonly CancellationTokenSource stop = new();
    private readonly ConcurrentDictionary<Pair, byte> pairs = new();
    private readonly Task accepting;
    private TaskCompletionSource passable = Completed();
    private volatile bool refusing;
    private long replyBytesLeft = long.MaxValue;

    public Link(int target)
    {
        this.target = target;
        Port = Ports.Take();
        listener = new TcpListener(IPAddress.Loopback, Port);
        listener.Start(4096);
        accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>What clients send on connections that open from now on is kept, so that <see cref="Duplicate"/> can send it again.</summary>
    public bool Recording { get; set; }

    /// <summary>Each stretch of bytes waits this long.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>
    /// For each connection of which everything was kept, opens a second one to the target and sends on it what the client has sent and will send.
    /// </summary>
    public List<Twin> Duplicate() => [.. pairs.Keys.Select(pair => pair.Tape?.Duplicate(target)).OfType<Twin>()];

    /// <summary>Resets every connection; new ones are let in.</summary>
    public void CutAll()
    {
        foreach (var pair in pairs.Keys)
            pair.Reset();
    }

    /// <summary>Bytes vanish into buffers in both directions, without an error. New connections open and stay silent.</summary>
    public void Blackhole()
    {
        if (passable.Task.IsCompleted)
            passable = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Existing connections break and new ones are refused.</summary>
    public void Refuse()
    {
        refusing = true;
        CutAll();
    }

    /// <summary>After this many more bytes of replies, cuts the connection that carried the last of them: once.</summary>
    public void CutRepliesAfter(long bytes) => Interlocked.Exchange(ref replyBytesLeft, bytes);

    public void Heal()
    {
        refusing = false;
        Recording = false;
        Delay = TimeSpan.Zero;
        Interlocked.Exchange(ref replyBytesLeft, long.MaxValue);
        passable.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Stop();
        passable.TrySetResult();
        CutAll();
        await accepting;
        stop.Dispose();
    }

    private static TaskCompletionSource Completed()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }

    private async Task AcceptAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptSocketAsync(stop.Token));
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // Stopped, or the peer was gone before we took its connection.
            }
        }
    }

    private async Task ServeAsync(Socket near)
    {
        var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        near.NoDelay = true;
        var pair = new Pair(near, far, Recording ? new Tape() : null);
        pairs[pair] = 0;
        try
        {
            if (refusing)
                return;
            await passable.Task;
            await far.ConnectAsync(IPAddress.Loopback, target, stop.Token);
            await Task.WhenAny(PumpAsync(near, far, pair, replies: false), PumpAsync(far, near, pair, replies: true));
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The other end is down: so is this one.
        }
        finally
        {
            pair.Tape?.End();
            pair.Reset();
            pairs.TryRemove(pair, out _);
        }
    }

    private async Task PumpAsync(Socket from, Socket to, Pair pair, bool replies)
    {
        var buffer = new byte[32 * 1024];
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(buffer, SocketFlags.None, stop.Token);
                if (count == 0)
                    return;
                if (!replies)
                    pair.Tape?.Record(buffer.AsSpan(0, count));
                if (Delay > TimeSpan.Zero)
                    await Task.Delay(Delay, stop.Token);
                await passable.Task;
                if (replies && Volatile.Read(ref replyBytesLeft) != long.MaxValue && Interlocked.Add(ref replyBytesLeft, -count) < 0)
                {
                    Interlocked.Exchange(ref replyBytesLeft, long.MaxValue);
                    pair.Reset();
                    return;
                }

                for (var sent = 0; sent < count;)
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None, stop.Token);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // Broken on one side: the pair goes.
        }
    }

    private sealed record Pair(Socket Near, Socket Far, Tape? Tape)
    {
        /// <summary>Closes with a reset, as a crashed peer does.</summary>
        public void Reset()
        {
            foreach (var socket in (Socket[])[Near, Far])
            {
                try
                {
                    socket.LingerState = new LingerOption(enable: true, seconds: 0);
                }
                catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
                {
                    // Closed already.
                }

                socket.Dispose();
            }
        }
    }
}
