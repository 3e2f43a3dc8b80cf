using System.Text;
using System.Text.Json;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>The SDK of today beside a server of tomorrow: what it does not know keeps its place, and everything else goes on.</summary>
public sealed class LaterServerTests : IAsyncDisposable
{
    private static CancellationToken Soon => TestContext.Current.CancellationToken;
    private readonly FakeHub _hub = new() { IsOfTomorrow = true };
    private readonly SharedKeyCipher _cipher = new();
    private readonly Guid _room = Guid.NewGuid();

    public LaterServerTests()
    {
        _cipher.AddRoom(_room, SharedKeyCipher.GenerateKey());
        _hub.Room(_room);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_entry_of_an_unknown_kind_keeps_its_place_and_the_log_goes_on(bool json)
    {
        Post("one");
        Store(EntryKind.Unknown);
        Post("three");
        await using var client = await SignInAsync(json);
        client.Connect();
        Assert.Equal(["1 one", "2 not supported", "3 three"], await TakeAsync(client, 3));

        // And live: pushed, not read.
        await PushAsync(Store(EntryKind.Unknown));
        await PushAsync(Post("five"));
        Assert.Equal(["4 not supported", "5 five"], await TakeAsync(client, 2));
        var sent = await client.SendAsync(_room, "six"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.Equal(6, sent.Seq);
        Assert.Equal(["6 six"], await TakeAsync(client, 1));

        var page = await client.ReadHistoryAsync(_room, 1, 1, Soon);
        Assert.Equal(EntryKind.Unknown, Assert.IsType<UnsupportedEntry>(Assert.Single(page.Events)).Entry.Kind);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_known_entry_with_an_unknown_role_is_that_entry(bool json)
    {
        lock (_hub)
            _hub.Room(_room).Add(new(1, EntryKind.RoleChanged, DateTime.UnixEpoch, UserId: Guid.NewGuid(), Role: RoomRole.Unknown));
        await using var client = await SignInAsync(json);
        client.Connect();
        await foreach (var happened in client.ReadAllAsync(Soon))
        {
            var entry = Assert.IsType<RoomEntry>(happened).Entry;
            Assert.Equal((EntryKind.RoleChanged, RoomRole.Unknown), (entry.Kind, entry.Role));
            break;
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Calls_of_unknown_methods_and_unknown_changes_of_a_room_are_passed_over(bool json)
    {
        await using var client = await SignInAsync(json);
        client.Connect();
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon);
        await _hub.CallAsync("SomethingOfTomorrow", _room, new byte[] { 1 });
        await _hub.CallAsync("AndWithoutArguments");
        await _hub.ForAllAsync(all => all.RoomChanged(_room, RoomChange.Unknown));
        await PushAsync(Post("two"));
        Assert.Equal(["1 one", "2 two"], await TakeAsync(client, 2));
        Assert.Equal((1, ConnectionState.Connected), (_hub.Connects, client.State));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_ends_for_an_unknown_reason_is_over(bool json)
    {
        await using var client = await SignInAsync(json);
        client.Connect();
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon);
        await _hub.ForAllAsync(all => all.SessionEnded(SessionEndReason.Unknown));
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => TakeAsync(client, 2));
        Assert.Equal((ErrorCode.Unauthenticated, ConnectionState.SignedOut), (error.ErrorCode, client.State));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_refusal_with_an_unknown_code_does_what_its_retryable_says(bool json, bool wholeBatch)
    {
        var answers = new Queue<ErrorBody>([new(ErrorCode.Unknown, "Later.", Retryable: true, 10), new(ErrorCode.Unknown, "Never.", Retryable: false)]);
        ErrorBody? Next() => answers.TryDequeue(out var answer) ? answer : null;
        if (wholeBatch)
            _hub.RefuseBatch = _ => Next();
        else
            _hub.Refuse = _ => Next();
        await using var client = await SignInAsync(json);
        client.Connect();
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => client.SendAsync(_room, "no"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon));
        Assert.Equal((ErrorCode.Unknown, false, "Never."), (error.ErrorCode, error.Retryable, error.Message));
        await client.SendAsync(_room, "yes"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.Equal(["1 yes"], await TakeAsync(client, 1));
    }

    [Fact]
    public async Task Answers_of_REST_are_read_with_what_is_unknown_in_them()
    {
        _hub.Rest = path => path == "/v1/rooms"
            ? (200, JsonSerializer.Serialize(new[] { new Room(_room, RoomKind.Unknown, null, false, null, DateTime.UnixEpoch, 0, RoomRole.Unknown, 1, 1, 0, 1) }, Wire.Json))
            : (409, """{"type":"about:blank","code":"unknown","detail":"No.","retryable":false}""");
        await using var client = await SignInAsync(json: false);
        var room = Assert.Single(await client.Rooms.ListAsync(Soon));
        Assert.Equal((_room, RoomKind.Unknown, RoomRole.Unknown), (room.Id, room.Kind, room.Role));
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => client.Rooms.DeleteAsync(_room, Soon));
        Assert.Equal((ErrorCode.Unknown, "No.", false), (error.ErrorCode, error.Message, error.Retryable));
    }

    public ValueTask DisposeAsync() => _hub.DisposeAsync();

    private static async Task<List<string>> TakeAsync(SecureMessagingClient client, int count)
    {
        var seen = new List<string>();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Soon);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        await foreach (var happened in client.ReadAllAsync(patience.Token))
        {
            seen.Add(happened switch
            {
                MessageReceived message => $"{message.Seq} {Encoding.UTF8.GetString(message.Envelope.Content)}",
                UnsupportedEntry entry => $"{entry.Seq} not supported",
                _ => happened.GetType().Name,
            });
            if (seen.Count == count)
                break;
        }
        return seen;
    }

    private LogEntry Post(string text)
    {
        var id = Guid.NewGuid();
        return _hub.Store(_room, _cipher.Seal(_room, new(id, Guid.Empty, "bob", DateTimeOffset.UnixEpoch), Encoding.UTF8.GetBytes(text)), id);
    }

    private LogEntry Store(EntryKind kind)
    {
        lock (_hub)
        {
            var entry = new LogEntry(_hub.Room(_room).Count + 1, kind, DateTime.UnixEpoch, Guid.NewGuid(), [1]);
            _hub.Room(_room).Add(entry);
            return entry;
        }
    }

    private Task PushAsync(LogEntry entry) => _hub.PushAsync(_room, entry);

    private async Task<SecureMessagingClient> SignInAsync(bool json)
    {
        await _hub.StartAsync();
        var options = new ClientOptions { Cipher = _cipher, UseJson = json, MaxReconnectDelay = TimeSpan.FromMilliseconds(200), HeadCheckInterval = TimeSpan.FromHours(1) };
        return await SecureMessagingClient.SignInAsync(_hub.Address, "ada", "a long password", options, Soon);
    }
}
