using System.Diagnostics;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Faults.History;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>How a client connects.</summary>
internal enum ClientKind
{
    /// <summary>Microsoft's client, with an access token.</summary>
    Full,

    /// <summary>Microsoft's client, with a single-use ticket in the URL, as browsers do.</summary>
    WithTicket,

    /// <summary><see cref="ThinHubClient"/>.</summary>
    Thin,
}

/// <summary>
/// A bare SignalR client without any SDK of ours. It reconnects by itself; after each connect it asks for Heads and syncs from its cursors, as the
/// contract says.
/// Everything that the server tells it goes into its history.
/// </summary>
internal sealed class RawClient(Account account, ClientHistory history, Guid[] rooms, Func<int, Uri> node, int seed,
    ClientKind kind = ClientKind.Full) : IAsyncDisposable
{
    private readonly Random random = new(seed);
    private readonly Cursor[] cursors = [.. rooms.Select(_ => new Cursor())];
    private readonly CancellationTokenSource stop = new();
    private IHubClient? hub;
    private TaskCompletionSource<IHubClient> ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task running = Task.CompletedTask;
    private int attempts = seed;
    private int failures;

    public Account Account => account;

    public ClientHistory History => history;

    /// <summary>Where its connection goes, or goes next.</summary>
    public Uri? Address { get; private set; }

    /// <summary>When it was last connected and caught up with all rooms (Stopwatch ticks).</summary>
    public long CaughtUpAt { get; private set; }

    public void Start() => running = Task.Run(RunAsync);

    public long CursorOf(int room)
    {
        lock (history)
            return cursors[room].Seq;
    }

    /// <summary>The live connection, once there is one.</summary>
    public Task<IHubClient> ReadyAsync(CancellationToken cancellationToken)
    {
        lock (history)
            return ready.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Gives this connection up: the next one goes to the next node.</summary>
    public async Task AbandonAsync(IHubClient connection)
    {
        if (hub == connection)
            await connection.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (stop.IsCancellationRequested)
            return;
        await stop.CancelAsync();
        if (hub is not null)
            await hub.DisposeAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            IHubClient? connection = null;
            try
            {
                connection = hub = await BuildAsync(closed);
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
                patience.CancelAfter(TimeSpan.FromSeconds(6));
                lock (history)
                    history.Seen.Add(new Observation(Seen.Connected, 0, 0, 0, default, 0, default, Stopwatch.GetTimestamp()));
                await connection.StartAsync(patience.Token);
                await CatchUpAsync(connection, closed.Task);
                failures = 0;
                CaughtUpAt = Stopwatch.GetTimestamp();
                lock (history)
                    ready.TrySetResult(connection);
                await closed.Task.WaitAsync(stop.Token);
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                if (exception.Message.Contains("401", StringComparison.Ordinal))
                    await SignInAsync();
            }
            catch (OperationCanceledException)
            {
                // The round stops the client.
            }

            lock (history)
            {
                if (ready.Task.IsCompleted)
                    ready = new TaskCompletionSource<IHubClient>(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            if (connection is not null)
                await connection.DisposeAsync();
            // Exponential with full jitter: a crowd that knocks without pause keeps the node from getting up.
            await Task.Delay(random.Next(20, 100 << Math.Min(failures++, 5)), CancellationToken.None);
        }
    }

    private async Task SignInAsync()
    {
        try
        {
            await account.SignInAsync();
        }
        catch (OperationCanceledException)
        {
            // No node answers. The next connect fails too and brings us back here.
        }
    }

    private async Task<IHubClient> BuildAsync(TaskCompletionSource closed)
    {
        Address = node(attempts++);
        IHubClient? connection = null;
        var events = new HubEvents(
            (room, entries) => Received(connection!, closed.Task, room, entries), room => Resync(connection!, closed.Task, room),
            wait => _ = DrainAsync(connection!, wait), () => closed.TrySetResult());
        var hubUrl = new Uri(Address, Wire.HubPath);
        return connection = kind switch
        {
            ClientKind.Thin => new ThinHubClient(hubUrl, account.AccessToken, events),
            ClientKind.WithTicket => new FullHubClient(new Uri(
                $"{hubUrl}?{Wire.TicketParameter}={Uri.EscapeDataString(await account.IssueTicketAsync())}"), null, events),
            _ => new FullHubClient(hubUrl, account.AccessToken, events),
        };
    }

    private async Task DrainAsync(IHubClient connection, int wait)
    {
        await Task.Delay(random.Next(0, Math.Clamp(wait, 1, 30_000)), CancellationToken.None);
        await AbandonAsync(connection);
    }

    private void Received(IHubClient connection, Task closed, Guid roomId, LogEntry[] entries)
    {
        var room = Array.IndexOf(rooms, roomId);
        if (room < 0)
            return;
        bool gap;
        lock (history)
        {
            foreach (var entry in entries)
                history.Seen.Add(Look(Seen.Pushed, room, entry));
            cursors[room].Take(entries);
            gap = cursors[room].HasGap;
        }

        if (gap)
            _ = SyncAsync(connection, closed, room);
    }

    private void Resync(IHubClient connection, Task closed, Guid roomId)
    {
        var room = Array.IndexOf(rooms, roomId);
        if (room < 0)
            return;
        lock (history)
            history.Seen.Add(new Observation(Seen.Resync, (short)room, 0, 0, default, 0, default, Stopwatch.GetTimestamp()));
        _ = SyncAsync(connection, closed, room);
    }

    private async Task CatchUpAsync(IHubClient connection, Task closed)
    {
        var heads = await connection.InvokeAsync<RoomHead[]>(nameof(IChatHub.Heads), [], stop.Token).WaitAsync(TimeSpan.FromSeconds(6), stop.Token);
        foreach (var head in heads)
        {
            var room = Array.IndexOf(rooms, head.RoomId);
            if (room < 0)
                continue;
            lock (history)
                history.Seen.Add(new Observation(Seen.Head, (short)room, head.HeadSeq, 0, default, 0, default, Stopwatch.GetTimestamp()));
            if (CursorOf(room) < head.HeadSeq)
                await SyncAsync(connection, closed, room);
        }
    }

    /// <summary>Reads from the cursor to the head. One at a time for each room; what is asked for meanwhile makes it read on.</summary>
    private async Task SyncAsync(IHubClient connection, Task closed, int room)
    {
        lock (history)
        {
            cursors[room].SyncDue = true;
            if (cursors[room].Syncing)
                return;
            cursors[room].Syncing = true;
        }

        try
        {
            while (!closed.IsCompleted && !stop.IsCancellationRequested)
            {
                try
                {
                    if (await SyncPageAsync(connection, room) && IsSynced(room))
                        return;
                }
                catch (HubException exception) when (exception.Message.Contains("\"retryable\":true", StringComparison.Ordinal))
                {
                    await Task.Delay(200, stop.Token);
                }
                catch (TimeoutException)
                {
                    // The connection lives, so nothing else would come back to it.
                }
            }
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // Refused or cut: a later connect or push comes back to it.
        }

        lock (history)
            cursors[room].Syncing = false;
    }

    /// <summary>Whether nothing asked to read on since the last page was asked for. Then reading is over, with no moment between.</summary>
    private bool IsSynced(int room)
    {
        lock (history)
            return !(cursors[room].Syncing = cursors[room].SyncDue);
    }

    private async Task<bool> SyncPageAsync(IHubClient connection, int room)
    {
        long after;
        lock (history)
        {
            after = cursors[room].Seq;
            cursors[room].SyncDue = false;
        }

        var page = await connection.InvokeAsync<LogPage>(nameof(IChatHub.Sync), [rooms[room], after, 500], stop.Token)
            .WaitAsync(TimeSpan.FromSeconds(8), stop.Token);
        lock (history)
        {
            history.Seen.Add(new Observation(
                Seen.Page, (short)room, after, page.FirstSeq, default, (ulong)page.Entries.Length, default, Stopwatch.GetTimestamp()));
            foreach (var entry in page.Entries)
                history.Seen.Add(Look(Seen.Read, room, entry));
            cursors[room].Announce(page.FirstSeq);
            cursors[room].Take(page.Entries);
            // A page that does not bring the cursor on is the server's fault, and the checker's business.
            return cursors[room].Seq >= page.HeadSeq || cursors[room].Seq == after;
        }
    }

    private static Observation Look(Seen what, int room, LogEntry entry) => new(
        what, (short)room, entry.Seq, 0, entry.Id ?? default, Payload.Hash(entry), entry.Kind, Stopwatch.GetTimestamp());

    /// <summary>How far a room's log was applied, and what came ahead of it.</summary>
    private sealed class Cursor
    {
        private readonly SortedSet<long> ahead = [];

        public long Seq { get; private set; }

        public bool Syncing { get; set; }

        /// <summary>Whether reading was asked for since the last page was.</summary>
        public bool SyncDue { get; set; }

        public bool HasGap => ahead.Count > 0;

        public void Take(LogEntry[] entries)
        {
            foreach (var entry in entries)
            {
                if (entry.Seq == Seq + 1)
                    Seq++;
                else if (entry.Seq > Seq)
                    ahead.Add(entry.Seq);
            }

            while (ahead.Count > 0 && ahead.Min <= Seq + 1)
            {
                Seq = Math.Max(Seq, ahead.Min);
                ahead.Remove(ahead.Min);
            }
        }

        /// <summary>What lies before the oldest entry that can be read never comes.</summary>
        public void Announce(long firstSeq)
        {
            Seq = Math.Max(Seq, firstSeq - 1);
            Take([]);
        }
    }
}
