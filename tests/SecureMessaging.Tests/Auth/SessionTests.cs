using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

public abstract class SessionTests(TestServer server)
{
    [Theory]
    [InlineData(31)]
    [InlineData(29 * 24 * 3600)]
    public async Task A_lost_reply_can_be_asked_for_again_until_a_successor_has_been_used(int seconds)
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var spent = user.Tokens.RefreshToken;
        await RenewAsync(own, spent);
        own.Time.Advance(TimeSpan.FromSeconds(seconds));
        await PurgeAsync(own);
        await RenewAsync(own, spent);
        var retried = await RenewAsync(own, spent);
        Assert.Equal(2, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));
        var next = await RenewAsync(own, retried.RefreshToken);
        Assert.Equal(200, await own.Http.ProbeAsync(next.AccessToken));

        // Now a successor has been used, and the first token is a copy in other hands.
        await (await own.Http.RefreshAsync(spent)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(401, await own.Http.ProbeAsync(next.AccessToken));
        await (await own.Http.RefreshAsync(next.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task A_thief_who_repeats_a_refresh_is_found_out_when_the_owner_uses_the_successor_that_died_by_it()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var owners = await RenewAsync(own, user.Tokens.RefreshToken);
        var thiefs = await RenewAsync(own, user.Tokens.RefreshToken);
        own.Time.Advance(TimeSpan.FromMinutes(9));
        await (await own.Http.RefreshAsync(owners.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(401, await own.Http.ProbeAsync(thiefs.AccessToken));
        await (await own.Http.RefreshAsync(thiefs.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task A_thief_who_uses_the_successor_first_is_found_out_by_the_owner()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var owners = await RenewAsync(own, user.Tokens.RefreshToken);
        var thiefs = await RenewAsync(own, owners.RefreshToken);
        thiefs = await RenewAsync(own, thiefs.RefreshToken);
        await (await own.Http.RefreshAsync(owners.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(401, await own.Http.ProbeAsync(thiefs.AccessToken));
    }

    [Fact]
    public async Task Reuse_of_a_token_that_is_no_longer_stored_still_ends_the_session()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var next = await RenewAsync(own, (await RenewAsync(own, user.Tokens.RefreshToken)).RefreshToken);
        own.Time.Advance(TimeSpan.FromMinutes(5));
        await PurgeAsync(own);
        Assert.Equal(2, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));
        await (await own.Http.RefreshAsync(user.Tokens.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(401, await own.Http.ProbeAsync(next.AccessToken));
    }

    [Fact]
    public async Task A_hundred_simultaneous_renewals_with_one_token_leave_one_living_token()
    {
        await using var own = await server.DedicatedAsync("--RateLimits:Enabled=false");
        await using var user = await own.SignUpAsync();
        var replies = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => RenewAsync(own, user.Tokens.RefreshToken)));
        Assert.Equal(100, replies.Select(reply => reply.RefreshToken).Distinct(StringComparer.Ordinal).Count());
        var living = Convert.ToHexString((await own.ScalarAsync<byte[]>("select hash from refresh_tokens where spent_at is null"))!);
        var tokens = own.Services.GetRequiredService<RefreshTokens>();
        var last = Assert.Single(replies, reply => tokens.Read(reply.RefreshToken) is var (_, hash) && Convert.ToHexString(hash) == living);
        var next = await RenewAsync(own, last.RefreshToken);
        Assert.Equal(200, await own.Http.ProbeAsync(next.AccessToken));
        await RenewAsync(own, next.RefreshToken);
    }

    [Fact]
    public async Task A_made_up_refresh_token_changes_nothing()
    {
        await using var user = await server.SignUpAsync();
        var real = user.Tokens.RefreshToken;
        foreach (var made in new[] { "", "x", new string('A', real.Length), real[..^1], real + "A", (real[0] == 'B' ? "C" : "B") + real[1..], real[..50] + (real[50] == 'A' ? 'B' : 'A') + real[51..], "\0", new string('~', real.Length), new string('é', real.Length), real[..^1] + " ", real[..^1] + "+" })
            await (await server.Http.RefreshAsync(made)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await RenewAsync(server, real);
    }

    [Fact]
    public async Task A_session_lasts_thirty_idle_days_and_ninety_at_all()
    {
        await using var own = await server.DedicatedAsync();
        await using var idle = await own.SignUpAsync();
        await using var busy = await own.SignUpAsync();
        var tokens = busy.Tokens;
        for (var day = 29; day < 90; day += 29)
        {
            own.Time.Advance(TimeSpan.FromDays(29));
            tokens = await RenewAsync(own, tokens.RefreshToken);
        }

        await (await own.Http.RefreshAsync(idle.Tokens.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        own.Time.Advance(TimeSpan.FromDays(3));
        await (await own.Http.RefreshAsync(tokens.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);

        await PurgeAsync(own);
        Assert.Equal(0, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));
        Assert.Equal(0, await own.ScalarAsync<long>("select count(*) from sessions where ended_at is null"));
    }

    [Fact]
    public async Task An_access_token_ends_after_ten_minutes()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        own.Time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(200, await own.Http.ProbeAsync(user.Tokens.AccessToken));
        own.Time.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(401, await own.Http.ProbeAsync(user.Tokens.AccessToken));
    }

    [Fact]
    public async Task One_sees_and_ends_ones_own_sessions_and_no_others()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var other = await anna.SignInAsync();
        var list = await anna.Http.GetFromJsonAsync<SessionSummary[]>("/v1/me/sessions", Wire.Json);
        Assert.Equal(new[] { anna.Tokens.SessionId, other.SessionId }.Order(), list!.Select(session => session.Id).Order());
        Assert.Equal(anna.Tokens.SessionId, Assert.Single(list!, session => session.Current).Id);
        Assert.All(list!, session => Assert.Equal((0, 0), (session.StartedAt.Minute, session.StartedAt.Second)));

        await (await anna.Http.DeleteAsync($"/v1/me/sessions/{ben.Tokens.SessionId}")).ReadErrorAsync(404, ErrorCode.NotFound);
        Assert.Equal(200, await server.Http.ProbeAsync(ben.Tokens.AccessToken));
        for (var i = 0; i < 2; i++)
        {
            using var ended = await anna.Http.DeleteAsync($"/v1/me/sessions/{other.SessionId}");
            Assert.Equal(204, (int)ended.StatusCode);
        }

        Assert.Equal(401, await server.Http.ProbeAsync(other.AccessToken));
        list = await anna.Http.GetFromJsonAsync<SessionSummary[]>("/v1/me/sessions", Wire.Json);
        Assert.NotNull(list!.Single(session => session.Id == other.SessionId).EndedAt);
    }

    [Fact]
    public async Task No_token_stands_in_the_database_and_no_time_is_finer_than_its_purpose()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        await RenewAsync(own, user.Tokens.RefreshToken);
        Assert.Equal(2, await own.ScalarAsync<long>("select count(*) from refresh_tokens where length(hash) = 32"));
        foreach (var time in await own.RowsAsync<DateTime>("select started_at from sessions union all select expires_at from sessions union all select expires_at from refresh_tokens union all select spent_at from refresh_tokens where spent_at is not null"))
            Assert.Equal(time.ToHour(), time);
        foreach (var time in await own.RowsAsync<DateTime>("select created_on from users union all select updated_on from users"))
            Assert.Equal(time.ToDay(), time);
    }

    private static async Task<TokenResponse> RenewAsync(TestServer on, string refreshToken)
    {
        using var response = await on.Http.RefreshAsync(refreshToken);
        return await response.ReadAsync<TokenResponse>();
    }

    private static Task PurgeAsync(TestServer on) => on.Services.GetRequiredService<SessionStore>()
        .PurgeAsync(on.Time.GetUtcNow().UtcDateTime, TimeSpan.FromDays(30), batch: 1, CancellationToken.None);
}

public sealed class SessionTestsOnSqlite(SqliteServer server) : SessionTests(server);

public sealed class SessionTestsOnPostgres(PostgresServer server) : SessionTests(server);
