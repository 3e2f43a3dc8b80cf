using System.Text;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>The SDK against a server that loses pushes and replies, rejects sends, restarts and ends sessions.</summary>
public sealed class ClientResilienceTests : FakeHubTests
{
    private protected override ClientOptions Options => new()
    {
        Cipher = cipher,
        MaxReconnectDelay = TimeSpan.FromMilliseconds(300),
        HeadCheckInterval = TimeSpan.FromMilliseconds(300),
    };

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Messages_arrive_once_and_in_order_despite_lost_pushes_and_replies_and_rejected_sends()
    {
        var dice = new Random(5);
        hub.LosePush = () => dice.Next(3) == 0;
        hub.LoseReply = () => dice.Next(12) == 0;
        hub.Refuse = _ => dice.Next(6) == 0 ? new ErrorBody(ErrorCode.Overloaded, "Full.", true, 5) : null;
        await using var client = await SignInAsync();
        client.Connect();
        var sends = Enumerable.Range(0, 100).Select(i => client.SendAsync(room, Encoding.UTF8.GetBytes($"{i}"), cancellationToken: Soon)).ToArray();
        var texts = await TakeAsync(client, 100);
        Assert.True(Enumerable.Range(0, 100).Select(i => $"{i}").SequenceEqual(texts, StringComparer.Ordinal), string.Join(' ', texts));
        Assert.Equal(Enumerable.Range(1, 100).Select(i => (long)i), (await Task.WhenAll(sends)).Select(receipt => receipt.Seq));
        Assert.Equal(0, client.PendingSends);
        Assert.True(hub.Connects > 1);
    }

    [Fact]
    public async Task The_client_connects_once_the_server_is_up_and_again_after_a_restart()
    {
        await using var client = await SignInAsync();
        var port = hub.Address.Port;
        await hub.StopAsync();
        client.Connect();
        var sent = SendAsync(client, "waiting");
        await Task.Delay(300, Soon);
        Assert.Equal((ConnectionState.Connecting, false), (client.State, sent.IsCompleted));
        await hub.StartAsync(port);
        await sent;
        await hub.StopAsync();
        Post("missed");
        await hub.StartAsync(port);
        Assert.Equal(["waiting", "missed"], await TakeAsync(client, 2));
    }

    [Fact]
    public async Task Outbox_and_cursors_survive_a_restart_of_the_process()
    {
        var options = Options with { StorePath = StorePath };
        await using (var client = await SignInAsync(options))
        {
            await client.EnqueueAsync(room, "one"u8.ToArray(), cancellationToken: Soon);
            await client.EnqueueAsync(room, "two"u8.ToArray(), cancellationToken: Soon);
            Assert.Equal(2, client.PendingSends);
        }
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(StorePath));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder.Path));
        }
        await using (var client = await SecureMessagingClient.ResumeAsync(hub.Address, options, Soon))
        {
            Assert.Equal(2, client!.PendingSends);
            client.Connect();
            // The second was still being processed when the loop ended, so it comes again.
            Assert.Equal(["one", "two"], await TakeAsync(client, 2));
        }
        await using (var client = await SecureMessagingClient.ResumeAsync(hub.Address, options, Soon))
        {
            client!.Connect();
            Assert.Equal(["two"], await TakeAsync(client, 1));
            Assert.Equal(0, client.PendingSends);
        }
        Assert.Equal(2, hub.Room(room).Count);
    }

    [Fact]
    public async Task A_definite_rejection_leaves_the_outbox_and_is_reported()
    {
        var bad = true;
        hub.Refuse = _ => bad ? new ErrorBody(ErrorCode.Invalid, "No.", false) : null;
        await using var client = await SignInAsync();
        var failure = new TaskCompletionSource<SendFailure>();
        client.SendFailed += failure.SetResult;
        client.Connect();
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => SendAsync(client, "x"));
        Assert.Equal((ErrorCode.Invalid, "No.", false), (error.ErrorCode, error.Message, error.Retryable));
        Assert.Equal(error, (await failure.Task).Error);
        bad = false;
        Assert.Equal(1, (await SendAsync(client, "y")).Seq);
        Assert.Equal(ErrorCode.Forbidden, (await Assert.ThrowsAsync<SecureMessagingException>(() => client.RetractAsync(room, 1, Soon))).ErrorCode);
    }

    [Fact]
    public async Task A_full_outbox_rejects_sends_and_a_slow_application_gets_all_entries()
    {
        await using var client = await SignInAsync(Options with { OutboxCapacity = 3, EventBuffer = 4 });
        for (var i = 0; i < 3; i++)
            await client.EnqueueAsync(room, Array.Empty<byte>(), cancellationToken: Soon);
        var full = await Assert.ThrowsAsync<SecureMessagingException>(() => client.EnqueueAsync(room, Array.Empty<byte>(), cancellationToken: Soon));
        Assert.Equal(ErrorCode.Overloaded, full.ErrorCode);
        for (var i = 0; i < 700; i++)
            hub.Store(room, [1, 2, 3]);
        client.Connect();
        var seqs = new List<long>();
        await foreach (var happened in client.ReadAllAsync(Soon))
        {
            seqs.Add(((EntryEvent)happened).Seq);
            if (seqs.Count % 50 == 0)
                await Task.Delay(20, Soon);
            if (seqs.Count == 703)
                break;
        }
        Assert.Equal(Enumerable.Range(1, 703).Select(i => (long)i), seqs);
    }

    [Fact]
    public async Task Expired_history_and_undecryptable_envelopes_are_reported()
    {
        var options = Options with { StorePath = StorePath };
        hub.Store(room, [1]);
        await using (var client = await SignInAsync(options))
        {
            client.Connect();
            await using var events = client.ReadAllAsync(Soon).GetAsyncEnumerator(Soon);
            Assert.True(await events.MoveNextAsync());
            Assert.IsType<Undecryptable>(events.Current);
            // Requesting the next one acknowledges the first.
            var next = events.MoveNextAsync().AsTask();
            hub.Store(room, [2]);
            await next;
        }
        for (var i = 0; i < 8; i++)
            hub.Store(room, [3]);
        hub.FirstSeq = 6;
        await using (var client = await SecureMessagingClient.ResumeAsync(hub.Address, options, Soon))
        {
            client!.Connect();
            await using var events = client.ReadAllAsync(Soon).GetAsyncEnumerator(Soon);
            await events.MoveNextAsync();
            Assert.Equal(new HistoryGap(room, 2, 5), events.Current);
            await events.MoveNextAsync();
            Assert.Equal(6, ((EntryEvent)events.Current).Seq);
        }
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task The_token_is_renewed_before_expiry_without_a_gap_and_is_never_in_a_URL()
    {
        hub.TokenSeconds = 3;
        await using var client = await SignInAsync();
        var states = new List<ConnectionState>();
        client.StateChanged += states.Add;
        client.Connect();
        while (hub.Refreshes < 2 || hub.Connects < 3)
            await Task.Delay(50, Soon);
        await SendAsync(client, "still here");
        Assert.Equal([ConnectionState.Connecting, ConnectionState.Connected], states);
        Assert.DoesNotContain(hub.Urls, url => url.Contains("access", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Signals_cursors_and_errors_work_in_both_hub_protocols(bool json)
    {
        await using var client = await SignInAsync(Options with { UseJson = json });
        var signal = new TaskCompletionSource<RoomSignal>();
        client.Signaled += signal.SetResult;
        Assert.Equal(ErrorCode.Unavailable, (await Assert.ThrowsAsync<SecureMessagingException>(() => client.SignalAsync(room, [1], Soon))).ErrorCode);
        client.Connect();
        await SendAsync(client, "x");
        await client.MarkDeliveredAsync(room, 1, Soon);
        await client.SignalAsync(room, [7], Soon);
        Assert.Equal([7], (await signal.Task).Content);
        Assert.Equal(1, (await client.ReadHistoryAsync(room, 0, 10, Soon)).HeadSeq);
        Assert.Equal(ErrorCode.Forbidden, (await Assert.ThrowsAsync<SecureMessagingException>(() => client.RetractAsync(room, 1, Soon))).ErrorCode);
    }

    [Fact]
    public async Task The_client_leaves_a_draining_node_and_stops_when_the_session_ends()
    {
        await using var client = await SignInAsync();
        client.Connect();
        await SendAsync(client, "x");
        await hub.ForAllAsync(all => all.Draining(50));
        while (hub.Connects < 2)
            await Task.Delay(20, Soon);
        await SendAsync(client, "y");
        await hub.ForAllAsync(all => all.SessionEnded(SessionEndReason.LoggedOut));
        Assert.Equal(ErrorCode.Unauthenticated, (await Assert.ThrowsAsync<SecureMessagingException>(() => TakeAsync(client, 3))).ErrorCode);
        Assert.Equal(ConnectionState.SignedOut, client.State);
        await Assert.ThrowsAsync<SecureMessagingException>(() => SendAsync(client, "z"));
    }

    [Fact]
    public async Task Leaving_a_room_ends_its_stream_and_a_rejected_refresh_ends_the_session()
    {
        hub.TokenSeconds = 3;
        hub.RefuseRefresh = true;
        await using var client = await SignInAsync();
        client.Connect();
        await SendAsync(client, "x");
        await hub.ForAllAsync(all => all.RoomChanged(room, RoomChange.Left));
        var seen = new List<RoomEvent>();
        var error = await Assert.ThrowsAsync<SecureMessagingException>(async () =>
        {
            await foreach (var happened in client.ReadAllAsync(Soon))
            {
                seen.Add(happened);
                hub.Rooms.Clear();
            }
        });
        Assert.Contains(new RoomEnded(room, RoomChange.Left), seen);
        Assert.Equal((ErrorCode.Unauthenticated, ConnectionState.SignedOut), (error.ErrorCode, client.State));
    }
}
