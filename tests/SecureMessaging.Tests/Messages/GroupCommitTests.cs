using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Messages;

/// <summary>The group commit when a batch cannot be stored as a whole. The append is wrapped to fail; everything else is real.</summary>
public abstract class GroupCommitTests(TestServer shared)
{
    [Fact]
    public async Task One_poisoned_send_fails_alone()
    {
        await using var server = await shared.DedicatedAsync(Wrap(poisoned: 0xbad), "--Messages:BatchLength=500");
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync(messagePack: true);
        var results = await hub.SendBatchAsync(
            [.. Enumerable.Range(0, 60).Select(i => new SendRequest(room.Id, Guid.NewGuid(), BitConverter.GetBytes(i == 30 ? 0xbad : i)))]);
        Assert.Equal(59, results.Count(result => result.Ack is not null));
        Assert.Equal((ErrorCode.Invalid, false), (results[30].Error!.Code, results[30].Error!.Retryable));
        Assert.Equal(60, (await hub.SyncAsync(room.Id)).HeadSeq);
        // Alone and over REST, the error is the same.
        using var response = await System.Net.Http.Json.HttpClientJsonExtensions.PostAsJsonAsync(
            anna.Http, $"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), BitConverter.GetBytes(0xbad)), Wire.Json);
        Assert.False((await response.ReadErrorAsync(400, ErrorCode.Invalid)).Retryable);
        Assert.Equal(61, (await hub.SendAsync(room.Id, [1])).Seq);
        Assert.DoesNotContain(server.Logs, line => line.Contains("canary", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_batch_over_many_rooms_is_acknowledged_and_stored_in_its_order()
    {
        await using var anna = await shared.SignUpAsync();
        var rooms = new List<Guid>();
        for (var i = 0; i < 8; i++)
            rooms.Add((await anna.CreateRoomAsync([])).Id);
        rooms.Add(Guid.NewGuid());
        var hub = await anna.ConnectAsync(messagePack: true);
        SendRequest[] requests = [.. Enumerable.Range(0, 63).Select(i => new SendRequest(rooms[i % rooms.Count], Guid.NewGuid(), [(byte)i]))];
        var results = await hub.SendBatchAsync(requests);
        Assert.Equal(
            requests.Select((request, i) => i % rooms.Count == 8 ? null : new { request.RoomId, Id = request.ClientMessageId, Seq = 2L + (i / rooms.Count) }),
            results.Select(result => result.Ack is { } ack ? new { ack.RoomId, Id = ack.ClientMessageId, ack.Seq } : null));
        Assert.All(results.Where(result => result.Ack is null), result => Assert.Equal(ErrorCode.NotFound, result.Error!.Code));
        foreach (var roomId in rooms.SkipLast(1))
            Assert.Equal(requests.Where(request => request.RoomId == roomId)
                .Select(request => request.ClientMessageId), (await hub.SyncAsync(roomId, 1)).Entries.Select(entry => entry.Id!.Value));
    }

    [Fact]
    public async Task A_send_whose_values_the_database_rejects_is_not_retryable()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var database = server.Services.GetRequiredService<Database>();
        await database.ExecuteAsync(
            database.IsPostgres
                ? "alter table entries add constraint odd check (octet_length(ciphertext) <> 3)"
                : "create trigger odd before insert on entries when length(new.ciphertext) = 3 begin select raise(abort, 'odd'); end",
            null, TestContext.Current.CancellationToken);
        var hub = await anna.ConnectAsync();
        var error = await Assert.ThrowsAsync<HubError>(() => hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [1, 2, 3])));
        Assert.Equal((ErrorCode.Invalid, false), (error.Body.Code, error.Body.Retryable));
        var results = await hub.SendBatchAsync([.. Enumerable.Range(1, 5).Select(i => new SendRequest(room.Id, Guid.NewGuid(), new byte[i]))]);
        Assert.Equal([true, true, false, true, true], results.Select(result => result.Ack is not null));
        Assert.False(results[2].Error!.Retryable);
    }

    [Fact]
    public async Task A_failure_of_the_database_itself_is_retryable()
    {
        await using var server = await shared.DedicatedAsync(Wrap(poisoned: 0xbad, failure: new System.IO.IOException("No space left on device")), []);
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        var error = await Assert.ThrowsAsync<HubError>(() => hub.SendAsync(room.Id, BitConverter.GetBytes(0xbad)));
        Assert.Equal((ErrorCode.Internal, true), (error.Body.Code, error.Body.Retryable));
    }

    [Fact]
    public async Task A_retryable_failure_fails_later_sends_of_its_room()
    {
        await using var server = await shared.DedicatedAsync(Wrap(poisoned: 0xbad, failure: new System.IO.IOException("No space left on device")), []);
        await using var anna = await server.SignUpAsync();
        var rooms = new List<Guid>();
        for (var i = 0; i < 8; i++)
            rooms.Add((await anna.CreateRoomAsync([])).Id);
        var hub = await anna.ConnectAsync(messagePack: true);
        SendRequest[] requests =
            [.. Enumerable.Range(0, 48).Select(i => new SendRequest(rooms[i % 8], Guid.NewGuid(), BitConverter.GetBytes(i == 16 ? 0xbad : i)))];
        var results = requests.Zip(await hub.SendBatchAsync(requests)).ToArray();
        Assert.Contains(results, pair => pair.Second.Error is { Code: ErrorCode.Internal, Retryable: true });
        foreach (var room in results.GroupBy(pair => pair.First.RoomId))
        {
            Assert.DoesNotContain(room.SkipWhile(pair => pair.Second.Ack is not null), pair => pair.Second.Ack is not null);
            Assert.Equal(
                room.Where(pair => pair.Second.Ack is not null).Select(pair => pair.First.ClientMessageId),
                (await hub.SyncAsync(room.Key, 1)).Entries.Select(entry => entry.Id!.Value));
        }
    }

    [Fact]
    public async Task A_retry_resolves_an_unknown_outcome()
    {
        await using var server = await shared.DedicatedAsync(Wrap(loseReplies: 3), []);
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        var request = new SendRequest(room.Id, Guid.NewGuid(), [1]);
        var attempts = 0;
        while (true)
        {
            attempts++;
            try
            {
                var ack = await hub.SendAsync(request);
                Assert.Equal((2L, true), (ack.Seq, ack.Duplicate));
                break;
            }
            catch (HubError error) when (error.Body is { Code: ErrorCode.Unavailable, Retryable: true })
            {
                Assert.True(attempts <= 3);
            }
        }

        Assert.Equal(4, attempts);
        Assert.Equal(2, (await hub.SyncAsync(room.Id)).HeadSeq);
        // Room delivery rechecks by itself: the entry arrives without a later one.
        await hub.WaitAsync(room.Id, entries => entries.Length == 1);
        await hub.SendAsync(room.Id, [2]);
        Assert.Equal([2L, 3L], (await hub.WaitAsync(room.Id, entries => entries.Length == 2)).Select(entry => entry.Seq));
    }

    [Fact]
    public async Task A_full_queue_rejects_sends_and_stores_none_of_them()
    {
        await using var server = await shared.DedicatedAsync(
            Wrap(delay: TimeSpan.FromMilliseconds(50)), ["--Messages:QueueLength=2", "--Messages:BatchLength=1"]);
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 30).Select(async i =>
        {
            using var response = await System.Net.Http.Json.HttpClientJsonExtensions.PostAsJsonAsync(
                anna.Http, $"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [(byte)i]), Wire.Json);
            if (response.IsSuccessStatusCode)
                return true;
            var error = await response.ReadErrorAsync(503, ErrorCode.Overloaded);
            Assert.True(error.Retryable && error.RetryAfterMs > 0);
            Assert.NotNull(response.Headers.RetryAfter);
            return false;
        }));
        Assert.Contains(false, outcomes);
        var hub = await anna.ConnectAsync();
        Assert.Equal(1 + outcomes.Count(stored => stored), (await hub.SyncAsync(room.Id)).HeadSeq);
    }

    private static Action<Microsoft.AspNetCore.Builder.WebApplicationBuilder> Wrap(
        int? poisoned = null, Exception? failure = null, int loseReplies = 0, TimeSpan delay = default) => builder =>
    {
        var real = builder.Services.Single(service => service.ServiceType == typeof(IEnvelopeAppend)).ImplementationFactory!;
        builder.Services.Replace(ServiceDescriptor.Singleton<IEnvelopeAppend>(provider =>
            new FailingAppend((IEnvelopeAppend)real(provider))
            {
                Poisoned = poisoned,
                Failure = failure
                ?? new InvalidOperationException("poisoned"),
                LoseReplies = loseReplies,
                Delay = delay
            }));
    };

    private sealed class FailingAppend(IEnvelopeAppend real) : IEnvelopeAppend
    {
        public int? Poisoned { get; init; }

        public required Exception Failure { get; init; }

        public bool IsDefinite(Exception exception) => real.IsDefinite(exception);

        private int loseReplies;

        public int LoseReplies { init => loseReplies = value; }

        public TimeSpan Delay { get; init; }

        public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now)
        {
            Thread.Sleep(Delay);
            if (batch.Any(envelope => envelope.Ciphertext.Length == 4 && BitConverter.ToInt32(envelope.Ciphertext) == Poisoned))
                throw Failure;
            var outcomes = real.Append(batch, now);
            return Interlocked.Decrement(ref loseReplies) >= 0 ? throw new ApiException(ErrorCode.Unavailable, "The reply was lost.") : outcomes;
        }
    }
}

public sealed class GroupCommitTestsOnSqlite(SqliteServer server) : GroupCommitTests(server);

public sealed class GroupCommitTestsOnPostgres(PostgresServer server) : GroupCommitTests(server);
