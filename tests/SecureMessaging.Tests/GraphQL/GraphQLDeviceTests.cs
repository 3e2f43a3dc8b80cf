using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Devices, KeyPackages and handshakes over GraphQL.</summary>
public abstract class GraphQLDeviceTests(TestServer server)
{
    [Fact]
    public async Task A_device_is_registered_stocked_claimed_welcomed_and_revoked()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var hers = await anna.AddDeviceAsync();
        using var his = new TestDevice(ben, TestDevice.NewKey(), ben.Http);
        var registered = (await ben.Http.AskAsync(
            "mutation($i: RegisterDeviceInput!) { registerDevice(input: $i) { id approved current } }", new { i = his.Registration().Camel() }))
                .GetProperty("registerDevice");
        Assert.Equal((his.Id, true), (registered.GetProperty("id").GetGuid(), registered.GetProperty("approved").GetBoolean()));
        Assert.Equal(1, (await ben.Http.AskAsync("{ devices { id signatureKey } }")).GetProperty("devices").GetArrayLength());

        var package = his.NewKeyPackage().Encode();
        var stock = (await ben.Http.AskAsync(
            "mutation($d: ID!, $p: [Base64!]!) { uploadKeyPackages(deviceId: $d, keyPackages: $p) { available lastResort } }",
            new { d = his.Id, p = new[] { package } }))
            .GetProperty("uploadKeyPackages");
        Assert.Equal(1, stock.GetProperty("available").GetInt32());
        Assert.Equal(ErrorCode.Invalid, await ben.Http.RefusalAsync(
            "mutation($d: ID!) { uploadKeyPackages(deviceId: $d, keyPackages: [\"AQID\"]) { available } }", new { d = his.Id }));
        var keys = (await anna.Http.AskAsync("query($u: String!) { userKeys(username: $u) { identityKey devices { deviceId } } }", new { u = ben.Username }))
            .GetProperty("userKeys");
        Assert.Equal(his.Id, keys.GetProperty("devices")[0].GetProperty("deviceId").GetGuid());
        var claimed = (await anna.Http.AskAsync("mutation($u: [ID!]!) { claimKeyPackages(userIds: $u) { deviceId keyPackage } }", new { u = new[] { ben.Id } }))
            .GetProperty("claimKeyPackages");
        Assert.Equal(package, claimed[0].GetProperty("keyPackage").GetBytesFromBase64());
        Assert.Equal(0, (await ben.Http.AskAsync("query($d: ID!) { keyPackageStock(deviceId: $d) { available } }", new { d = his.Id }))
            .GetProperty("keyPackageStock").GetProperty("available").GetInt32());

        var room = await anna.CreateMlsRoomAsync();
        const string commit = "mutation($r: ID!, $i: CommitInput!) { commit(roomId: $r, input: $i) { seq epoch } }";
        var input = new
        {
            id = Guid.NewGuid(),
            epoch = 0,
            commit = TestMls.Commit(
            room.Id, 0),
            welcomes = new[] { TestMls.Welcome(package) },
            add = new[] { new { username = ben.Username } }
        };
        Assert.Equal(1, (await anna.Http.AskAsync(commit, new { r = room.Id, i = input })).GetProperty("commit").GetProperty("epoch").GetInt64());
        var lost = await anna.Http.ReplyAsync(commit, new { r = room.Id, i = new { id = Guid.NewGuid(), epoch = 0, commit = TestMls.Commit(room.Id, 0) } });
        Assert.Equal(ErrorCode.WrongEpoch, GraphQLCalls.CodeOf(lost));
        Assert.Equal(1, lost.GetProperty("errors")[0].GetProperty("extensions").GetProperty("currentEpoch").GetInt64());
        var welcome = (await ben.Http.AskAsync("query($d: ID!) { welcomes(deviceId: $d) { roomId seq message } }", new { d = his.Id }))
            .GetProperty("welcomes")[0];
        Assert.Equal(room.Id, welcome.GetProperty("roomId").GetGuid());
        await ben.Http.AskAsync("mutation($d: ID!, $r: ID!, $s: Long!) { acknowledgeWelcome(deviceId: $d, roomId: $r, seq: $s) }",
            new { d = his.Id, r = room.Id, s = welcome.GetProperty("seq").GetInt64() });
        Assert.Equal(
            2, (await ben.Http.AskAsync("query($r: ID!) { roomKeys(roomId: $r) { username } }", new { r = room.Id })).GetProperty("roomKeys").GetArrayLength());
        await anna.Http.AskAsync(
            "mutation($r: ID!, $i: ID!, $p: Base64!) { propose(roomId: $r, id: $i, epoch: 1, proposal: $p) { seq } }",
            new { r = room.Id, i = Guid.NewGuid(), p = TestMls.Proposal(room.Id, 1) });
        var report = (await anna.Http.AskAsync("mutation($r: ID!, $s: Long!) { reportInvalidCommit(roomId: $r, seq: $s) { reset generation } }",
            new { r = room.Id, s = welcome.GetProperty("seq").GetInt64() }))
            .GetProperty("reportInvalidCommit");
        Assert.True(report.GetProperty("reset").GetBoolean());

        Assert.Equal(ErrorCode.NotFound, await anna.Http.RefusalAsync("mutation($d: ID!) { revokeDevice(deviceId: $d) }", new { d = his.Id }));
        // The session ends with its device, possibly before the response arrives.
        await ben.Http.ReplyAsync("mutation($d: ID!) { revokeDevice(deviceId: $d) }", new { d = his.Id });
        Assert.Equal(ErrorCode.Unauthenticated, await ben.Http.RefusalAsync("{ me { id } }"));
    }
}

public sealed class GraphQLDeviceTestsOnSqlite(SqliteServer server) : GraphQLDeviceTests(server);

public sealed class GraphQLDeviceTestsOnPostgres(PostgresServer server) : GraphQLDeviceTests(server);
