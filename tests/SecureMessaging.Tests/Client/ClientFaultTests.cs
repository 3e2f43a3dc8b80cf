using System.Text;
using Microsoft.Data.Sqlite;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>The SDK on a disk that fails for a while and with a server whose answers are wrong: it goes on, and nobody is left waiting.</summary>
public sealed class ClientFaultTests : IAsyncDisposable
{
    private static CancellationToken Soon => TestContext.Current.CancellationToken;
    private readonly FakeHub _hub = new();
    private readonly SharedKeyCipher _cipher = new();
    private readonly Guid _room = Guid.NewGuid();
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "secmsg-" + Guid.NewGuid().ToString("N"));

    public ClientFaultTests()
    {
        _cipher.AddRoom(_room, SharedKeyCipher.GenerateKey());
        _hub.Room(_room);
    }

    private string StorePath => Path.Combine(_folder, "client.db");

    private ClientOptions Options => new()
    {
        Cipher = _cipher,
        StorePath = StorePath,
        MaxReconnectDelay = TimeSpan.FromMilliseconds(200),
        HeadCheckInterval = TimeSpan.FromHours(1),
    };

    [Fact]
    public async Task Sending_goes_on_once_the_outbox_can_be_read_again()
    {
        await using var client = await SignInAsync(Options);
        var sent = client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon);
        Break("outbox");
        await Assert.ThrowsAsync<IOException>(() => client.SendAsync(_room, "lost"u8.ToArray(), cancellationToken: Soon));
        client.Connect();
        await Task.Delay(500, Soon);
        Mend("outbox");
        await sent.WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.Equal(["one"], await TakeAsync(client, 1));
    }

    [Fact]
    public async Task A_refusal_that_cannot_be_written_down_is_told_once_it_can()
    {
        await using var client = await SignInAsync(Options);
        _hub.Refuse = _ =>
        {
            Break("outbox");
            _hub.Refuse = _ => new ErrorBody(ErrorCode.Invalid, "No.", false);
            return new ErrorBody(ErrorCode.Invalid, "No.", false);
        };
        var sent = client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon);
        client.Connect();
        await Task.Delay(500, Soon);
        Assert.False(sent.IsCompleted);
        Mend("outbox");
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => sent.WaitAsync(TimeSpan.FromSeconds(10), Soon));
        Assert.Equal(ErrorCode.Invalid, error.ErrorCode);
    }

    [Fact]
    public async Task The_connection_comes_back_after_a_renewal_that_the_disk_prevented()
    {
        _hub.TokenSeconds = 1;
        await using var client = await SignInAsync(Options);
        Break("session");
        Directory.CreateDirectory(StorePath + ".renewal");
        client.Connect();
        await Task.Delay(1500, Soon);
        Directory.Delete(StorePath + ".renewal");
        await Task.Delay(300, Soon);
        Assert.Equal(0, _hub.Refreshes);
        _hub.TokenSeconds = 600;
        Mend("session");
        await client.SendAsync(_room, "back"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.Equal(ConnectionState.Connected, client.State);
    }

    [Fact]
    public async Task The_end_of_the_session_is_told_though_it_cannot_be_written_down()
    {
        await using var client = await SignInAsync(Options);
        client.Connect();
        await client.SendAsync(_room, "x"u8.ToArray(), cancellationToken: Soon);
        Break("session");
        await _hub.ForAllAsync(all => all.SessionEnded(SessionEndReason.LoggedOut));
        Assert.Equal(ErrorCode.Unauthenticated, (await Assert.ThrowsAsync<SecureMessagingException>(() => TakeAsync(client, 2))).ErrorCode);
        Assert.Equal(ConnectionState.SignedOut, client.State);
    }

    [Fact]
    public async Task Reading_goes_on_though_no_cursor_can_be_written()
    {
        for (var i = 0; i < 3; i++)
            Post($"{i}");
        await using var client = await SignInAsync(Options);
        Break("cursors");
        client.Connect();
        Assert.Equal(["0", "1", "2"], await TakeAsync(client, 3));
        Mend("cursors");
        Post("3");
        await _hub.ForAllAsync(all => all.Resync(_room));
        // Leaving the loop took the first three out of the queue; the last was in hand.
        Assert.Equal(["3"], await TakeAsync(client, 1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_that_is_null_or_incomplete_is_a_call_to_repeat(bool json)
    {
        Post("0");
        foreach (var sends in new SendResult[]?[] { null, [null!], [], [new(null, null), new(null, null)], [new(null, null)] })
            _hub.WrongSends.Enqueue(sends);
        foreach (var page in new LogPage?[] { null, new(_room, null!, 1, 1), new(_room, [null!], 1, 1) })
            _hub.WrongPages.Enqueue(page);
        foreach (var heads in new RoomHead[]?[] { null, [null!] })
            _hub.WrongHeads.Enqueue(heads);
        await using var client = await SignInAsync(Options with { UseJson = json });
        client.Connect();
        var receipt = await client.SendAsync(_room, "1"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(20), Soon);
        Assert.Equal((2, 0), (receipt.Seq, client.PendingSends));
        Assert.Equal(["0", "1"], await TakeAsync(client, 2));
        Assert.Equal((0, 0, 0), (_hub.WrongSends.Count, _hub.WrongPages.Count, _hub.WrongHeads.Count));
        await _hub.ForAllAsync(all => all.Received(_room, null!));
        await _hub.ForAllAsync(all => all.Received(_room, [null!]));
        await client.SendAsync(_room, "2"u8.ToArray(), cancellationToken: Soon);
        Assert.Equal(["2"], await TakeAsync(client, 1));
    }

    [Fact]
    public async Task A_batch_that_breaks_off_in_the_middle_is_repeated_from_there_in_order()
    {
        var other = Guid.NewGuid();
        _cipher.AddRoom(other, SharedKeyCipher.GenerateKey());
        _hub.Room(other);
        var dice = new Random(11);
        _hub.LoseReply = () => dice.Next(10) == 0;
        _hub.Refuse = _ => dice.Next(25) switch
        {
            0 => new ErrorBody(ErrorCode.Overloaded, "Full.", true, 3),
            1 => new ErrorBody(ErrorCode.Internal, "Failed.", true),
            _ => null,
        };
        await using var client = await SignInAsync(Options);
        for (var i = 0; i < 400; i++)
            await client.EnqueueAsync(i % 3 == 0 ? other : _room, Encoding.UTF8.GetBytes($"{i}"), cancellationToken: Soon);
        client.Connect();
        var texts = (await TakeAsync(client, 400)).ConvertAll(int.Parse);
        Assert.Equal(Enumerable.Range(0, 400).Where(i => i % 3 == 0), texts.Where(i => i % 3 == 0));
        Assert.Equal(Enumerable.Range(0, 400).Where(i => i % 3 != 0), texts.Where(i => i % 3 != 0));
        while (client.PendingSends > 0)
            await Task.Delay(20, Soon);
        Assert.Equal(400, _hub.Room(_room).Count + _hub.Room(other).Count);
        Assert.InRange(_hub.LargestBatch, 30, Limits.Default.BatchSends);
    }

    [Fact]
    public async Task A_batch_stays_under_the_limit_of_bytes_and_a_refused_one_is_sent_one_by_one()
    {
        _hub.RefuseBatch = requests => requests.Length > 1 || requests[0].TimeToLiveSeconds is not null
            ? new ErrorBody(ErrorCode.Invalid, "No.", false) : null;
        await using var client = await SignInAsync(Options);
        var sends = new List<Task<SendReceipt>>();
        for (var i = 0; i < 20; i++)
            sends.Add(client.SendAsync(_room, new byte[20_000], i == 7 ? TimeSpan.FromMinutes(1) : null, Soon));
        client.Connect();
        await Assert.ThrowsAsync<SecureMessagingException>(() => sends[7]);
        sends.RemoveAt(7);
        Assert.Equal(Enumerable.Range(1, 19).Select(i => (long)i), (await Task.WhenAll(sends)).Select(receipt => receipt.Seq));
        Assert.InRange(_hub.LargestBatchBytes, 100_000, Limits.Default.BatchBytes);
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<List<string>> TakeAsync(SecureMessagingClient client, int count)
    {
        var texts = new List<string>();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Soon);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        await foreach (var happened in client.ReadAllAsync(patience.Token))
        {
            texts.Add(Encoding.UTF8.GetString(((MessageReceived)happened).Envelope.Content));
            if (texts.Count == count)
                break;
        }
        return texts;
    }

    private void Post(string text)
    {
        var id = Guid.NewGuid();
        _hub.Store(_room, _cipher.Seal(_room, new(id, Guid.Empty, "bob", DateTimeOffset.UnixEpoch), Encoding.UTF8.GetBytes(text)), id);
    }

    /// <summary>Every statement on the table fails from now on, as on a disk that is full or unplugged.</summary>
    private void Break(string table) => Execute($"alter table {table} rename to {table}_away");

    private void Mend(string table) => Execute($"alter table {table}_away rename to {table}");

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={StorePath};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private async Task<SecureMessagingClient> SignInAsync(ClientOptions options)
    {
        await _hub.StartAsync();
        return await SecureMessagingClient.SignInAsync(_hub.Address, "ada", "a long password", options, Soon);
    }
}
