using System.Text.Json;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>The SDK with a server of a later version: unknown entries keep their seq, and everything else works.</summary>
public sealed class LaterServerTests() : FakeHubTests(isOfTomorrow: true)
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_entry_of_unknown_kind_keeps_its_seq_and_the_log_continues(bool json)
    {
        Post("one");
        Store(EntryKind.Unknown);
        Post("three");
        await using var client = await SignInAsync(json);
        client.Connect();
        Assert.Equal(["1 one", "2 not supported", "3 three"], await DescribeAsync(client, 3));

        // The same for pushed entries.
        await PushAsync(Store(EntryKind.Unknown));
        await PushAsync(Post("five"));
        Assert.Equal(["4 not supported", "5 five"], await DescribeAsync(client, 2));
        var sent = await SendAsync(client, "six");
        Assert.Equal(6, sent.Seq);
        Assert.Equal(["6 six"], await DescribeAsync(client, 1));

        var page = await client.ReadHistoryAsync(room, 1, 1, Soon);
        Assert.Equal(EntryKind.Unknown, Assert.IsType<UnsupportedEntry>(Assert.Single(page.Events)).Entry.Kind);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_known_entry_with_an_unknown_role_keeps_its_kind(bool json)
    {
        lock (hub)
            hub.Room(room).Add(new(1, EntryKind.RoleChanged, DateTime.UnixEpoch, UserId: Guid.NewGuid(), Role: RoomRole.Unknown));
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
    public async Task Unknown_hub_methods_and_unknown_room_changes_are_ignored(bool json)
    {
        await using var client = await SignInAsync(json);
        client.Connect();
        await SendAsync(client, "one");
        await hub.CallAsync("SomethingOfTomorrow", room, new byte[] { 1 });
        await hub.CallAsync("AndWithoutArguments");
        await hub.ForAllAsync(all => all.RoomChanged(room, RoomChange.Unknown));
        await PushAsync(Post("two"));
        Assert.Equal(["1 one", "2 two"], await DescribeAsync(client, 2));
        Assert.Equal((1, ConnectionState.Connected), (hub.Connects, client.State));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_session_that_ends_for_an_unknown_reason_is_ended(bool json)
    {
        await using var client = await SignInAsync(json);
        client.Connect();
        await SendAsync(client, "one");
        await hub.ForAllAsync(all => all.SessionEnded(SessionEndReason.Unknown));
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => DescribeAsync(client, 2));
        Assert.Equal((ErrorCode.Unauthenticated, ConnectionState.SignedOut), (error.ErrorCode, client.State));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task An_error_with_an_unknown_code_is_handled_by_its_retryable_flag(bool json, bool wholeBatch)
    {
        var answers = new Queue<ErrorBody>([new(ErrorCode.Unknown, "Later.", Retryable: true, 10), new(ErrorCode.Unknown, "Never.", Retryable: false)]);
        ErrorBody? Next() => answers.TryDequeue(out var answer) ? answer : null;
        if (wholeBatch)
            hub.RefuseBatch = _ => Next();
        else
            hub.Refuse = _ => Next();
        await using var client = await SignInAsync(json);
        client.Connect();
        var error = await Assert.ThrowsAsync<SecureMessagingException>(
            () => SendAsync(client, "no"));
        Assert.Equal((ErrorCode.Unknown, false, "Never."), (error.ErrorCode, error.Retryable, error.Message));
        await SendAsync(client, "yes");
        Assert.Equal(["1 yes"], await DescribeAsync(client, 1));
    }

    [Fact]
    public async Task REST_responses_with_unknown_members_are_read()
    {
        hub.Rest = path => path == "/v1/rooms"
            ? (200, JsonSerializer.Serialize(
                new[] { new Room(room, RoomKind.Unknown, null, false, null, DateTime.UnixEpoch, 0, RoomRole.Unknown, 1, 1, 0, 1) }, Wire.Json))
            : (409, """{"type":"about:blank","code":"unknown","detail":"No.","retryable":false}""");
        await using var client = await SignInAsync(json: false);
        var read = Assert.Single(await client.Rooms.ListAsync(Soon));
        Assert.Equal((room, RoomKind.Unknown, RoomRole.Unknown), (read.Id, read.Kind, read.Role));
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => client.Rooms.DeleteAsync(room, Soon));
        Assert.Equal((ErrorCode.Unknown, "No.", false), (error.ErrorCode, error.Message, error.Retryable));
    }

    private static async Task<List<string>> DescribeAsync(SecureMessagingClient client, int count) =>
        (await TakeEventsAsync(client, count)).ConvertAll(happened => happened switch
        {
            MessageReceived message => $"{message.Seq} {TextOf(message)}",
            UnsupportedEntry entry => $"{entry.Seq} not supported",
            _ => happened.GetType().Name,
        });

    private LogEntry Store(EntryKind kind)
    {
        lock (hub)
        {
            var entry = new LogEntry(hub.Room(room).Count + 1, kind, DateTime.UnixEpoch, Guid.NewGuid(), [1]);
            hub.Room(room).Add(entry);
            return entry;
        }
    }

    private Task PushAsync(LogEntry entry) => hub.PushAsync(room, entry);

    private Task<SecureMessagingClient> SignInAsync(bool json) => SignInAsync(Options with { UseJson = json, StorePath = null });
}
