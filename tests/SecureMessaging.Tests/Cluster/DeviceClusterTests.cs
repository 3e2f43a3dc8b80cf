using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cluster;

/// <summary>Events of devices on one node reach the other.</summary>
[Trait("Ring", "Full")]
public sealed class DeviceClusterTests(PostgresServer shared)
{
    [Fact]
    public async Task Hints_commits_and_device_revocations_reach_the_other_node()
    {
        await using var nodes = await TwoNodes.StartAsync(shared);
        var (first, second) = nodes;
        await using var anna = await first.SignUpAsync();
        await using var ben = await first.SignUpAsync();
        using var annas = await anna.AddDeviceAsync();
        using var bens = await ben.AddDeviceAsync();
        using var bensSecond = await bens.AddDeviceAsync();
        await bens.StockUpAsync(5);
        await bensSecond.StockUpAsync(5);
        var there = await ben.ConnectAsync(node: second.Url);
        await using var doomed = new TestConnection(second.Url, () => bensSecond.Http.DefaultRequestHeaders.Authorization!.Parameter);
        await doomed.Hub.StartAsync();
        await doomed.HeadsAsync();

        var claimed = await anna.ClaimAsync(ben);
        Assert.Equal(4, (await there.WaitAsync(nameof(IChatClient.KeyPackagesLow)))[1]);
        var room = await anna.CreateMlsRoomAsync();
        var commit = await anna.CommitAsync(
            room.Id, 0, welcomes: [TestMls.Welcome([.. claimed.Select(package => package.KeyPackage)])],
            roster: new RosterChange([new AddMemberRequest(ben.Username)]));
        await there.WaitAsync(nameof(IChatClient.WelcomesWaiting));
        await there.WaitAsync(nameof(IChatClient.RoomChanged));
        Assert.Equal(commit.Seq, (await bens.WelcomesAsync()).Single().Seq);
        await anna.CommitAsync(room.Id, 1);
        await there.WaitAsync(room.Id, entries => entries.Length > 0 && entries[^1].Kind == EntryKind.Commit);

        (await ben.Http.DeleteAsync($"/v1/devices/{bensSecond.Id}")).EnsureSuccessStatusCode();
        await doomed.Closed.Task.WaitAsync(TimeSpan.FromSeconds(8));
        using var dead =
            new HttpClient { BaseAddress = second.Url, DefaultRequestHeaders = { Authorization = bensSecond.Http.DefaultRequestHeaders.Authorization } };
        await (await dead.GetAsync("/v1/me")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await there.WaitAsync(room.Id, entries => entries.Any(entry => entry.Kind == EntryKind.DevicesChanged));
    }
}
