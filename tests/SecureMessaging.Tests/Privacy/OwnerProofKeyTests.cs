using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>A second key for owner proofs: entries of the first one stay their senders'.</summary>
public abstract class OwnerProofKeyTests(TestServer shared)
{
    [Fact]
    public async Task Entries_of_an_older_key_are_recognised_redacted_disclosed_and_erased()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var requests = Enumerable.Range(1, 6).Select(number => new SendRequest(room.Id, Guid.NewGuid(), [(byte)number])).ToArray();
        var before = await (await anna.ConnectAsync()).SendBatchAsync(requests[..3]);

        await server.StopAsync();
        await File.WriteAllBytesAsync(Path.Combine(server.DataDirectory, "keys", "server.secret.2"), RandomNumberGenerator.GetBytes(32));
        await server.StartAsync();

        var hub = await anna.ConnectAsync();
        var stranger = await ben.ConnectAsync();
        Assert.Equal(before.Select(result => result.Ack! with { Duplicate = true }), (await hub.SendBatchAsync(requests[..3])).Select(result => result.Ack));
        Assert.Equal(ErrorCode.Conflict, (await Assert.ThrowsAsync<HubError>(() => stranger.SendAsync(requests[0]))).Body.Code);
        Assert.Equal(ErrorCode.Conflict, (await stranger.SendBatchAsync(requests[..3]))[1].Error!.Code);
        var after = await hub.SendBatchAsync(requests[3..]);
        Assert.Equal(
            [1, 1, 1, 2, 2, 2],
            await server.RowsAsync<int>("select key_version from entries where room_id = @Id and ciphertext is not null order by seq", new { room.Id }));

        foreach (var seq in new[] { before[0].Ack!.Seq, after[0].Ack!.Seq })
        {
            Assert.Equal(ErrorCode.Forbidden, (await Assert.ThrowsAsync<HubError>(() => stranger.RetractAsync(room.Id, seq))).Body.Code);
            await hub.RetractAsync(room.Id, seq);
        }

        var data = await anna.Http.GetFromJsonAsync<JsonElement>("/v1/me/data");
        Assert.Equal(
            [1, 1, 1, 2, 2, 2],
            data.GetProperty("tables").GetProperty("entries").EnumerateArray()
                .Where(entry => entry.GetProperty("owner_proof").ValueKind != JsonValueKind.Null).Select(entry => entry.GetProperty("key_version").GetInt32()));
        (await anna.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(anna.Password), Wire.Json)).EnsureSuccessStatusCode();
        Assert.Equal(0, await server.ScalarAsync<int>("select count(*) from entries where owner_proof is not null or ciphertext is not null"));
    }

    [Fact]
    public async Task An_entry_whose_content_is_deleted_has_no_time_of_its_sending()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var hub = await anna.ConnectAsync();
        var redacted = new SendRequest(room.Id, Guid.NewGuid(), [1]);
        var seq = (await hub.SendAsync(redacted)).Seq;
        var expired = (await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), [2], TimeToLiveSeconds: 60))).Seq;
        var erased = (await (await ben.ConnectAsync()).SendAsync(room.Id, [3])).Seq;
        await hub.RetractAsync(room.Id, seq);
        (await ben.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(ben.Password), Wire.Json)).EnsureSuccessStatusCode();
        await server.Time.PassAsync(TimeSpan.FromMinutes(3));

        Assert.Equal(
            [seq, expired, erased],
            await server.RowsAsync<long>("select seq from entries where room_id = @Id and created_at is null order by seq", new { room.Id }));
        // With the time to live, the minute of an expiry would tell the minute of the sending.
        var times = await server.RowsAsync<DateTime>(
            "select expires_at from entries where room_id = @Id and created_at is null and expires_at is not null", new { room.Id });
        Assert.Equal([TimeSpan.Zero, TimeSpan.Zero], times.Select(time => time.TimeOfDay));
        var gone = (await hub.SyncAsync(room.Id)).Entries.Where(entry => entry.Kind == EntryKind.Gone).ToArray();
        Assert.Equal([seq, expired, erased], gone.Select(entry => entry.Seq));
        Assert.All(gone, entry => Assert.Equal(DateTime.UnixEpoch, entry.CreatedAt));
        Assert.Equal(new SendAck(room.Id, redacted.ClientMessageId, seq, DateTime.UnixEpoch, Duplicate: true), await hub.SendAsync(redacted));
    }
}

public sealed class OwnerProofKeyTestsOnSqlite(SqliteServer server) : OwnerProofKeyTests(server);

public sealed class OwnerProofKeyTestsOnPostgres(PostgresServer server) : OwnerProofKeyTests(server);
