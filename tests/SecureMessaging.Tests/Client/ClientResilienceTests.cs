using System.Text;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>The SDK against a server that loses pushes and replies, refuses, restarts and ends sessions.</summary>
public sealed class ClientResilienceTests : IAsyncDisposable
{
    private static CancellationToken Soon => TestContext.Current.CancellationToken;
    private readonly FakeHub _hub = new();
    private readonly SharedKeyCipher _cipher = new();
    private readonly Guid _room = Guid.NewGuid();
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "secmsg-" + Guid.NewGuid().ToString("N"));

    public ClientResilienceTests()
    {
        _cipher.AddRoom(_room, SharedKeyCipher.GenerateKey());
        _hub.Room(_room);
    }

    private string StorePath => Path.Combine(_folder, "client.db");

    private ClientOptions Options => new()
    {
        Cipher = _cipher,
        MaxReconnectDelay = TimeSpan.FromMilliseconds(300),
        HeadCheckInterval = TimeSpan.FromMilliseconds(300),
    };

    [Fact]
    public async Task Everything_arrives_once_and_in_order_though_pushes_and_replies_are_lost_and_sends_refused()
    {
        var dice = new Random(5);
        _hub.LosePush = () => dice.Next(3) == 0;
        _hub.LoseReply = () => dice.Next(12) == 0;
        _hub.Refuse = _ => dice.Next(6) == 0 ? new ErrorBody(ErrorCode.Overloaded, "Full.", true, 5) : null;
        await using var client = await SignInAsync(Options);
        client.Connect();
        var sends = Enumerable.Range(0, 100).Select(i => client.SendAsync(_room, Encoding.UTF8.GetBytes($"{i}"), cancellationToken: Soon)).ToArray();
        var texts = await TakeAsync(client, 100);
        Assert.True(Enumerable.Range(0, 100).Select(i => $"{i}").SequenceEqual(texts, StringComparer.Ordinal), string.Join(' ', texts));
        Assert.Equal(Enumerable.Range(1, 100).Select(i => (long)i), (await Task.WhenAll(sends)).Select(receipt => receipt.Seq));
        Assert.Equal(0, client.PendingSends);
        Assert.True(_hub.Connects > 1);
    }

    [Fact]
    public async Task It_connects_once_the_server_is_there_and_again_after_a_restart()
    {
        await using var client = await SignInAsync(Options);
        var port = _hub.Address.Port;
        await _hub.StopAsync();
        client.Connect();
        var sent = client.SendAsync(_room, "waiting"u8.ToArray(), cancellationToken: Soon);
        await Task.Delay(300, Soon);
        Assert.Equal((ConnectionState.Connecting, false), (client.State, sent.IsCompleted));
        await _hub.StartAsync(port);
        await sent;
        await _hub.StopAsync();
        var id = Guid.NewGuid();
        _hub.Store(_room, _cipher.Seal(_room, new(id, Guid.Empty, "bob", DateTimeOffset.UnixEpoch), "missed"u8), id);
        await _hub.StartAsync(port);
        Assert.Equal(["waiting", "missed"], await TakeAsync(client, 2));
    }

    [Fact]
    public async Task What_is_queued_and_what_was_read_survive_a_restart_of_the_process()
    {
        var options = Options with { StorePath = StorePath };
        await using (var client = await SignInAsync(options))
        {
            await client.EnqueueAsync(_room, "one"u8.ToArray(), cancellationToken: Soon);
            await client.EnqueueAsync(_room, "two"u8.ToArray(), cancellationToken: Soon);
            Assert.Equal(2, client.PendingSends);
        }
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(StorePath));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder));
        }
        await using (var client = await SecureMessagingClient.ResumeAsync(_hub.Address, options, Soon))
        {
            Assert.Equal(2, client!.PendingSends);
            client.Connect();
            // The second is in hand when the loop is left, so it comes again.
            Assert.Equal(["one", "two"], await TakeAsync(client, 2));
        }
        await using (var client = await SecureMessagingClient.ResumeAsync(_hub.Address, options, Soon))
        {
            client!.Connect();
            Assert.Equal(["two"], await TakeAsync(client, 1));
            Assert.Equal(0, client.PendingSends);
        }
        Assert.Equal(2, _hub.Room(_room).Count);
    }

    [Fact]
    public async Task A_definite_refusal_leaves_the_outbox_and_is_told()
    {
        var bad = true;
        _hub.Refuse = _ => bad ? new ErrorBody(ErrorCode.Invalid, "No.", false) : null;
        await using var client = await SignInAsync(Options);
        var failure = new TaskCompletionSource<SendFailure>();
        client.SendFailed += failure.SetResult;
        client.Connect();
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => client.SendAsync(_room, "x"u8.ToArray(), cancellationToken: Soon));
        Assert.Equal((ErrorCode.Invalid, "No.", false), (error.ErrorCode, error.Message, error.Retryable));
        Assert.Equal(error, (await failure.Task).Error);
        bad = false;
        Assert.Equal(1, (await client.SendAsync(_room, "y"u8.ToArray(), cancellationToken: Soon)).Seq);
        Assert.Equal(ErrorCode.Forbidden, (await Assert.ThrowsAsync<SecureMessagingException>(() => client.RetractAsync(_room, 1, Soon))).ErrorCode);
    }

    [Fact]
    public async Task A_full_outbox_refuses_and_a_slow_application_gets_everything()
    {
        await using var client = await SignInAsync(Options with { OutboxCapacity = 3, EventBuffer = 4 });
        for (var i = 0; i < 3; i++)
            await client.EnqueueAsync(_room, Array.Empty<byte>(), cancellationToken: Soon);
        var full = await Assert.ThrowsAsync<SecureMessagingException>(() => client.EnqueueAsync(_room, Array.Empty<byte>(), cancellationToken: Soon));
        Assert.Equal(ErrorCode.Overloaded, full.ErrorCode);
        for (var i = 0; i < 700; i++)
            _hub.Store(_room, [1, 2, 3]);
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
    public async Task Expired_history_is_announced_and_an_envelope_that_cannot_be_opened_is_shown()
    {
        var options = Options with { StorePath = StorePath };
        _hub.Store(_room, [1]);
        await using (var client = await SignInAsync(options))
        {
            client.Connect();
            await using var events = client.ReadAllAsync(Soon).GetAsyncEnumerator(Soon);
            Assert.True(await events.MoveNextAsync());
            Assert.IsType<Undecryptable>(events.Current);
            // Asking for the next takes the first.
            var next = events.MoveNextAsync().AsTask();
            _hub.Store(_room, [2]);
            await next;
        }
        for (var i = 0; i < 8; i++)
            _hub.Store(_room, [3]);
        _hub.FirstSeq = 6;
        await using (var client = await SecureMessagingClient.ResumeAsync(_hub.Address, options, Soon))
        {
            client!.Connect();
            await using var events = client.ReadAllAsync(Soon).GetAsyncEnumerator(Soon);
            await events.MoveNextAsync();
            Assert.Equal(new HistoryGap(_room, 2, 5), events.Current);
            await events.MoveNextAsync();
            Assert.Equal(6, ((EntryEvent)events.Current).Seq);
        }
    }

    [Fact]
    public async Task The_token_is_renewed_before_it_expires_without_a_visible_gap_and_never_stands_in_a_URL()
    {
        _hub.TokenSeconds = 3;
        await using var client = await SignInAsync(Options);
        var states = new List<ConnectionState>();
        client.StateChanged += states.Add;
        client.Connect();
        while (_hub.Refreshes < 2 || _hub.Connects < 3)
            await Task.Delay(50, Soon);
        await client.SendAsync(_room, "still here"u8.ToArray(), cancellationToken: Soon);
        Assert.Equal([ConnectionState.Connecting, ConnectionState.Connected], states);
        Assert.DoesNotContain(_hub.Urls, url => url.Contains("access", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Signals_marks_and_errors_travel_in_both_protocols(bool json)
    {
        await using var client = await SignInAsync(Options with { UseJson = json });
        var signal = new TaskCompletionSource<RoomSignal>();
        client.Signaled += signal.SetResult;
        Assert.Equal(ErrorCode.Unavailable, (await Assert.ThrowsAsync<SecureMessagingException>(() => client.SignalAsync(_room, [1], Soon))).ErrorCode);
        client.Connect();
        await client.SendAsync(_room, "x"u8.ToArray(), cancellationToken: Soon);
        await client.MarkDeliveredAsync(_room, 1, Soon);
        await client.SignalAsync(_room, [7], Soon);
        Assert.Equal([7], (await signal.Task).Content);
        Assert.Equal(1, (await client.ReadHistoryAsync(_room, 0, 10, Soon)).HeadSeq);
        Assert.Equal(ErrorCode.Forbidden, (await Assert.ThrowsAsync<SecureMessagingException>(() => client.RetractAsync(_room, 1, Soon))).ErrorCode);
    }

    [Fact]
    public async Task A_draining_node_is_left_and_the_end_of_the_session_is_final()
    {
        await using var client = await SignInAsync(Options);
        client.Connect();
        await client.SendAsync(_room, "x"u8.ToArray(), cancellationToken: Soon);
        await _hub.ForAllAsync(all => all.Draining(50));
        while (_hub.Connects < 2)
            await Task.Delay(20, Soon);
        await client.SendAsync(_room, "y"u8.ToArray(), cancellationToken: Soon);
        await _hub.ForAllAsync(all => all.SessionEnded(SessionEndReason.LoggedOut));
        Assert.Equal(ErrorCode.Unauthenticated, (await Assert.ThrowsAsync<SecureMessagingException>(() => TakeAsync(client, 3))).ErrorCode);
        Assert.Equal(ConnectionState.SignedOut, client.State);
        await Assert.ThrowsAsync<SecureMessagingException>(() => client.SendAsync(_room, "z"u8.ToArray(), cancellationToken: Soon));
    }

    [Fact]
    public async Task A_room_that_is_left_ends_in_the_stream_and_a_refused_renewal_ends_the_session()
    {
        _hub.TokenSeconds = 3;
        _hub.RefuseRefresh = true;
        await using var client = await SignInAsync(Options);
        client.Connect();
        await client.SendAsync(_room, "x"u8.ToArray(), cancellationToken: Soon);
        await _hub.ForAllAsync(all => all.RoomChanged(_room, RoomChange.Left));
        var seen = new List<RoomEvent>();
        var error = await Assert.ThrowsAsync<SecureMessagingException>(async () =>
        {
            await foreach (var happened in client.ReadAllAsync(Soon))
            {
                seen.Add(happened);
                _hub.Rooms.Clear();
            }
        });
        Assert.Contains(new RoomEnded(_room, RoomChange.Left), seen);
        Assert.Equal((ErrorCode.Unauthenticated, ConnectionState.SignedOut), (error.ErrorCode, client.State));
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    private static async Task<List<string>> TakeAsync(SecureMessagingClient client, int count)
    {
        var texts = new List<string>();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Soon);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        await foreach (var happened in client.ReadAllAsync(patience.Token))
        {
            texts.Add(Encoding.UTF8.GetString(((MessageReceived)happened).Envelope.Content));
            if (texts.Count == count)
                break;
        }
        return texts;
    }

    private async Task<SecureMessagingClient> SignInAsync(ClientOptions options)
    {
        await _hub.StartAsync();
        return await SecureMessagingClient.SignInAsync(_hub.Address, "ada", "a long password", options, Soon);
    }
}
