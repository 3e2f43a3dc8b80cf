using System.Net;
using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Handshakes;

/// <summary>Fifty devices commit at the same time, round after round: exactly one wins each epoch, and the others leave no trace.</summary>
[Trait("Ring", "Full")]
public abstract class CommitRaceTests
{
    private const int Users = 10;
    private const int DevicesPerUser = 5;
    private const int Rounds = 20;

    protected static async Task RaceAsync(params TestServer[] nodes)
    {
        var users = await nodes[0].SignUpAsync(Users);
        var devices = new List<TestDevice>();
        var welcomes = new Dictionary<Guid, byte[]>();
        foreach (var user in users)
        {
            var first = await user.AddDeviceAsync();
            devices.Add(first);
            for (var i = 1; i < DevicesPerUser; i++)
                devices.Add(await first.AddDeviceAsync());
        }

        foreach (var device in devices)
        {
            var package = device.NewKeyPackage().Encode();
            await (await device.UploadAsync([], package)).ReadAsync<KeyPackageStock>();
            welcomes[device.Id] = TestMls.Welcome(package);
        }

        var room = await users[0].CreateMlsRoomAsync(users[1..]);
        var hub = await users[0].ConnectAsync();
        // Each device on the node that it happens to be connected to.
        var clients = devices.Select((device, i) => new HttpClient
        {
            BaseAddress = nodes[i % nodes.Length].Url,
            DefaultRequestHeaders = { Authorization = device.Http.DefaultRequestHeaders.Authorization },
        }).ToArray();
        var winners = new List<(Guid DeviceId, CommitRequest Request, CommitAck Ack)>();
        for (var epoch = 0; epoch < Rounds; epoch++)
        {
            using var start = new SemaphoreSlim(0);
            var attempts = devices.Select(async (device, i) =>
            {
                var request = new CommitRequest(Guid.NewGuid(), epoch, TestMls.Commit(room.Id, epoch), [welcomes[device.Id]]);
                await start.WaitAsync();
                return (device.Id, request, Response: await clients[i].CommitAsync(room.Id, request));
            }).ToArray();
            start.Release(devices.Count);
            var replies = await Task.WhenAll(attempts);
            var (winner, won, response) = Assert.Single(replies, reply => reply.Response.StatusCode == HttpStatusCode.OK);
            winners.Add((winner, won, await response.ReadAsync<CommitAck>()));
            foreach (var loser in replies.Where(reply => reply.Response != response))
                Assert.Equal(epoch + 1, (await loser.Response.ReadErrorAsync(409, ErrorCode.WrongEpoch)).CurrentEpoch);
        }

        Assert.Equal(Enumerable.Range(1, Rounds).Select(epoch => (long)epoch), winners.Select(winner => winner.Ack.Epoch));
        Assert.Equal(Enumerable.Range(Users + 1, Rounds).Select(seq => (long)seq), winners.Select(winner => winner.Ack.Seq));
        var log = (await users[0].Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{room.Id}/log?limit=500", Wire.Json))!;
        Assert.Equal(Enumerable.Range(1, Users + Rounds).Select(seq => (long)seq), log.Entries.Select(entry => entry.Seq));
        Assert.Equal(winners.Select(winner => winner.Request.Id), log.Entries.Skip(Users).Select(entry => entry.Id!.Value));
        foreach (var device in devices)
        {
            var expected = winners.Where(winner => winner.DeviceId == device.Id).Select(winner => winner.Ack.Seq);
            Assert.Equal(expected, (await device.WelcomesAsync()).Select(welcome => welcome.Seq).Order());
        }

        // The winners' node pushes one gapless run; entries of other nodes may be read.
        if (nodes.Length == 1)
            Assert.Equal(log.Entries.Skip(Users).Select(entry => entry.Seq), (await hub.WaitAsync(room.Id, entries => entries.Length == Rounds))
                .Select(entry => entry.Seq));
        foreach (var client in clients)
            client.Dispose();
        devices.ForEach(device => device.Dispose());
    }
}

public sealed class CommitRaceTestsOnSqlite(SqliteServer server) : CommitRaceTests
{
    [Fact]
    public Task One_commit_wins_each_epoch() => RaceAsync(server);
}

public sealed class CommitRaceTestsOnPostgres(PostgresServer server) : CommitRaceTests
{
    [Fact]
    public Task One_commit_wins_each_epoch() => RaceAsync(server);

    [Fact]
    public async Task One_commit_wins_each_epoch_on_two_nodes()
    {
        await using var first = await server.DedicatedAsync();
        await using var second = await first.AnotherNodeAsync();
        await RaceAsync(first, second);
    }
}
