using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Handshakes;

/// <summary>Members whose commits others report: the server names and slows them, and removes none.</summary>
public abstract class CommitThrottleTests(TestServer shared)
{
    [Fact]
    public async Task A_member_that_commits_junk_again_and_again_wins_fewer_and_fewer_epochs()
    {
        await using var server = await shared.DedicatedAsync();
        var users = await server.SignUpAsync(3);
        var (anna, ben, junk) = (users[0], users[1], users[2]);
        var room = await anna.CreateMlsRoomAsync(ben, junk);
        var (generation, epoch, honest, wins) = (0, 0, 0, new int[4]);
        for (var minute = 0; minute < 120; minute++)
        {
            // The junk always comes first.
            using var response = await junk.Http.CommitAsync(room.Id, Junk(room.Id, epoch, generation));
            if (response.IsSuccessStatusCode)
            {
                wins[minute / 30]++;
                Assert.True((await ReportAsync(anna, room.Id, (await response.ReadAsync<CommitAck>()).Seq)).Reset);
                Assert.Equal(junk.Id, await NamedAsync(anna, room.Id));
                (generation, epoch) = (generation + 1, 0);
            }
            else
            {
                Assert.NotNull((await response.ReadErrorAsync(429, ErrorCode.RateLimited)).RetryAfterMs);
                await ben.CommitAsync(room.Id, epoch++, generation);
                honest++;
            }

            server.Time.Advance(TimeSpan.FromMinutes(1));
            // Access tokens last ten minutes.
            if (minute % 5 == 4)
                await SignInAgainAsync(anna, ben, junk);
        }

        Assert.True(wins[0] is > 1 and < 8, string.Join(' ', wins));
        Assert.True(wins[0] > wins[1] && wins[1] >= wins[2] && wins[2] >= wins[3] && wins[3] <= 1, string.Join(' ', wins));
        Assert.Equal(120, honest + wins.Sum());
        // No member was removed, and after some days the member may commit again.
        Assert.Equal(3, (await anna.Http.GetFromJsonAsync<RoomMember[]>($"/v1/rooms/{room.Id}/members", Wire.Json))!.Length);
        server.Time.Advance(TimeSpan.FromDays(12));
        await SignInAgainAsync(junk);
        (await junk.Http.CommitAsync(room.Id, Junk(room.Id, epoch, generation))).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task One_liar_has_no_effect_and_each_further_reporter_doubles_the_time()
    {
        await using var server = await shared.DedicatedAsync();
        var users = await server.SignUpAsync(9);
        var room = await users[0].CreateMlsRoomAsync(users[1..]);
        var author = users[8];
        var commit = await author.CommitAsync(room.Id, 0);
        await ReportAsync(users[1], room.Id, commit.Seq);
        await ReportAsync(users[1], room.Id, commit.Seq);
        Assert.Null(await WaitAsync());
        var waits = new List<TimeSpan>();
        foreach (var reporter in users[2..5])
        {
            Assert.False((await ReportAsync(reporter, room.Id, commit.Seq)).Reset);
            waits.Add((await WaitAsync())!.Value);
        }

        // Rounded up to whole minutes.
        Assert.All(waits.Zip([1, 2, 4]), pair => Assert.InRange(pair.First, TimeSpan.FromMinutes(pair.Second), TimeSpan.FromMinutes(pair.Second + 1)));
        Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from commit_throttles"));

        async Task<TimeSpan?> WaitAsync()
        {
            using var response = await author.Http.CommitAsync(room.Id, Junk(room.Id, 5, 0));
            return response.StatusCode == System.Net.HttpStatusCode.Conflict
                ? null
                : TimeSpan.FromMilliseconds((await response.ReadErrorAsync(429, ErrorCode.RateLimited)).RetryAfterMs!.Value);
        }
    }

    [Fact]
    public async Task Only_reporters_who_are_still_members_count()
    {
        await using var server = await shared.DedicatedAsync();
        var users = await server.SignUpAsync(9);
        var room = await users[0].CreateMlsRoomAsync(users[1..]);
        var author = users[8];
        var commit = await author.CommitAsync(room.Id, 0);
        await ReportAsync(users[1], room.Id, commit.Seq);
        await ReportAsync(users[2], room.Id, commit.Seq);
        (await users[1].Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{users[1].Id}")).EnsureSuccessStatusCode();
        await ReportAsync(users[3], room.Id, commit.Seq);
        using var response = await author.Http.CommitAsync(room.Id, Junk(room.Id, 1, 0));
        // Two minutes with three reporters. Rounded up to whole minutes.
        Assert.InRange((await response.ReadErrorAsync(429, ErrorCode.RateLimited)).RetryAfterMs!.Value, 1, 2 * 60_000);
    }

    [Fact]
    public async Task An_account_can_report_only_so_many_commits()
    {
        await using var server = await shared.DedicatedAsync(
            "--RateLimits:Enabled=true", "--RateLimits:InvalidCommits:Burst=3", "--RateLimits:InvalidCommits:PerMinute=1");
        var users = await server.SignUpAsync(5);
        var (anna, ben) = (users[0], users[1]);
        var room = await anna.CreateMlsRoomAsync(users[1..]);
        // An admin who lies resets the group each time. Each author has one strike, which slows no one.
        for (var generation = 0; generation < 3; generation++)
            Assert.True((await ReportAsync(anna, room.Id, (await users[generation + 1].CommitAsync(room.Id, 0, generation)).Seq)).Reset);
        var last = await users[4].CommitAsync(room.Id, 0, generation: 3);
        using (var refused = await PostAsync(anna))
            Assert.InRange((await refused.ReadErrorAsync(429, ErrorCode.RateLimited)).RetryAfterMs!.Value, 1, 60_000);
        var overGraphQL = $"mutation {{ reportInvalidCommit(roomId: \"{room.Id}\", seq: {last.Seq}) {{ reset }} }}";
        Assert.Equal(ErrorCode.RateLimited, await anna.Http.RefusalAsync(overGraphQL));
        // Each account has its own count, and it comes back.
        using (var others = await PostAsync(ben))
            others.EnsureSuccessStatusCode();
        server.Time.Advance(TimeSpan.FromMinutes(1));
        using var again = await PostAsync(anna);
        again.EnsureSuccessStatusCode();

        Task<HttpResponseMessage> PostAsync(TestUser user) =>
            user.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/invalid-commits", new ReportInvalidCommitRequest(last.Seq), Wire.Json);
    }

    [Fact]
    public async Task The_author_is_found_after_leaving_and_a_retry_of_its_commit_still_gets_its_answer()
    {
        await using var server = await shared.DedicatedAsync();
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        var room = await anna.CreateMlsRoomAsync(ben, carl);
        var request = Junk(room.Id, 0, 0);
        var ack = await (await carl.Http.CommitAsync(room.Id, request)).ReadAsync<CommitAck>();
        await ReportAsync(anna, room.Id, ack.Seq);
        Assert.True((await (await carl.Http.CommitAsync(room.Id, request)).ReadAsync<CommitAck>()).Duplicate);
        Assert.Equal(carl.Id, await NamedAsync(anna, room.Id));

        var second = await ben.CommitAsync(room.Id, 0, generation: 1);
        (await ben.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        await ReportAsync(anna, room.Id, second.Seq);
        Assert.Equal(ben.Id, await NamedAsync(anna, room.Id));
        // An erased author is not named, neither in the entry nor in the table.
        (await ben.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(ben.Password), Wire.Json)).EnsureSuccessStatusCode();
        Assert.Null(await NamedAsync(anna, room.Id));
        Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from commit_throttles"));
    }

    /// <summary>200 bytes that the server cannot tell from a commit.</summary>
    private static CommitRequest Junk(Guid roomId, long epoch, int generation) => new(Guid.NewGuid(), epoch, TestMls.Commit(roomId, epoch, generation));

    private static async Task SignInAgainAsync(params TestUser[] users)
    {
        foreach (var user in users)
            user.Use(await user.SignInAsync());
    }

    private static async Task<Guid?> NamedAsync(TestUser user, Guid roomId) =>
        (await user.Http.GetFromJsonAsync<LogPage>($"/v1/rooms/{roomId}/log?beforeSeq=1000000&limit=500", Wire.Json))!.Entries
        .Last(entry => entry.Kind == EntryKind.GroupReset).UserId;

    private static async Task<InvalidCommitReport> ReportAsync(TestUser user, Guid roomId, long seq)
    {
        using var response = await user.Http.PostAsJsonAsync($"/v1/rooms/{roomId}/invalid-commits", new ReportInvalidCommitRequest(seq), Wire.Json);
        return await response.ReadAsync<InvalidCommitReport>();
    }
}

public sealed class CommitThrottleTestsOnSqlite(SqliteServer server) : CommitThrottleTests(server);

public sealed class CommitThrottleTestsOnPostgres(PostgresServer server) : CommitThrottleTests(server);
