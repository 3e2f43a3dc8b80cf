using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

public abstract class SessionTests(TestServer server)
{
    [Fact]
    public async Task A_session_has_a_name_that_only_its_owner_sets_and_sees()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var other = await anna.SignInAsync();
        (await LabelAsync(anna, other.SessionId, [1, 2, 3])).EnsureSuccessStatusCode();
        Assert.Equal([(anna.Tokens.SessionId, ""), (other.SessionId, "AQID")], (await SessionsAsync())
            .Select(session => (session.Id, Convert.ToBase64String(session.Label ?? []))).OrderBy(session => session.Item2.Length));
        await (await LabelAsync(ben, other.SessionId, [4])).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await LabelAsync(anna, other.SessionId, new byte[257])).ReadErrorAsync(413, ErrorCode.TooLarge);
        (await LabelAsync(anna, other.SessionId, null)).EnsureSuccessStatusCode();
        Assert.All(await SessionsAsync(), session => Assert.Null(session.Label));
        (await anna.Http.DeleteAsync($"/v1/me/sessions/{other.SessionId}")).EnsureSuccessStatusCode();
        await (await LabelAsync(anna, other.SessionId, [5])).ReadErrorAsync(404, ErrorCode.NotFound);

        async Task<SessionSummary[]> SessionsAsync() => (await anna.Http.GetFromJsonAsync<SessionSummary[]>("/v1/me/sessions", Wire.Json))!;

        static Task<HttpResponseMessage> LabelAsync(TestUser by, Guid session, byte[]? label) =>
            by.Http.PutAsJsonAsync($"/v1/me/sessions/{session}/label", new LabelSessionRequest(label), Wire.Json);
    }

    [Theory]
    [InlineData(31)]
    [InlineData(29 * 24 * 3600)]
    public async Task A_refresh_can_be_retried_until_its_successor_was_used(int seconds)
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

        // A successor has been used now, so the first token is a stolen copy.
        await (await own.Http.RefreshAsync(spent)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(401, await own.Http.ProbeAsync(next.AccessToken));
        await (await own.Http.RefreshAsync(next.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task A_thief_that_repeats_a_refresh_is_detected_when_the_owner_uses_the_replaced_successor()
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
    public async Task A_thief_that_uses_the_successor_first_is_detected_when_the_owner_refreshes()
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
    public async Task One_hundred_simultaneous_refreshes_of_one_token_leave_one_valid_token()
    {
        await using var own = await server.DedicatedAsync("--RateLimits:Enabled=false");
        await using var user = await own.SignUpAsync();
        var replies = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => RenewWhenPossibleAsync(own, user.Tokens.RefreshToken)));
        Assert.Equal(100, replies.Select(reply => reply.RefreshToken).Distinct(StringComparer.Ordinal).Count());
        var living = Convert.ToHexString((await own.ScalarAsync<byte[]>("select hash from refresh_tokens where spent_at is null"))!);
        var tokens = own.Services.GetRequiredService<RefreshTokens>();
        var last = Assert.Single(replies, reply => tokens.Read(reply.RefreshToken) is var (_, hash) && Convert.ToHexString(hash) == living);
        var next = await RenewAsync(own, last.RefreshToken);
        Assert.Equal(200, await own.Http.ProbeAsync(next.AccessToken));
        await RenewAsync(own, next.RefreshToken);
    }

    [Fact]
    public async Task An_unknown_refresh_token_changes_nothing()
    {
        await using var user = await server.SignUpAsync();
        var real = user.Tokens.RefreshToken;
        foreach (var made in new[] { "", "x", new string('A', real.Length), real[..^1], real + "A", (real[0] == 'B' ? "C" : "B") + real[1..], real[..50]
            + (real[50] == 'A' ? 'B' : 'A') + real[51..], "\0", new string('~', real.Length), new string('é', real.Length), real[..^1] + " ",
            real[..^1] + "+" })
            await (await server.Http.RefreshAsync(made)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await RenewAsync(server, real);
    }

    [Fact]
    public async Task A_session_ends_after_30_idle_days_and_90_days_in_total()
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
    public async Task An_access_token_expires_after_10_minutes()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        own.Time.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(200, await own.Http.ProbeAsync(user.Tokens.AccessToken));
        own.Time.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(401, await own.Http.ProbeAsync(user.Tokens.AccessToken));
    }

    [Fact]
    public async Task A_user_sees_and_ends_only_its_own_sessions()
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
    public async Task A_refresh_token_is_deleted_when_a_later_one_is_used_with_its_session_and_on_expiry()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var first = await own.ScalarAsync<byte[]>("select hash from refresh_tokens");
        var second = await RenewAsync(own, user.Tokens.RefreshToken);
        // The spent one can be repeated, because the answer may be lost.
        Assert.Equal(1, await own.ScalarAsync<long>("select count(*) from refresh_tokens where hash = @first and spent_at is not null", new { first }));
        await RenewAsync(own, second.RefreshToken);
        Assert.Equal(0, await own.ScalarAsync<long>("select count(*) from refresh_tokens where hash = @first", new { first }));
        Assert.Equal(2, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));

        // Thirty idle days, rounded up to the end of a day.
        own.Time.Advance(TimeSpan.FromDays(31));
        await PurgeAsync(own);
        Assert.Equal(0, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));
        var other = await user.SignInAsync();
        user.Use(other);
        Assert.Equal(1, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));
        (await user.Http.DeleteAsync($"/v1/me/sessions/{other.SessionId}")).EnsureSuccessStatusCode();
        Assert.Equal(0, await own.ScalarAsync<long>("select count(*) from refresh_tokens"));
    }

    [Fact]
    public async Task The_database_stores_no_token_and_no_time_more_precise_than_needed()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        await RenewAsync(own, user.Tokens.RefreshToken);
        Assert.Equal(2, await own.ScalarAsync<long>("select count(*) from refresh_tokens where length(hash) = 32"));
        const string times = """
            select started_at from sessions union all select expires_at from sessions
            """;
        const string days = """
            select created_on from users union all select updated_on from users
            union all select expires_at from refresh_tokens union all select spent_at from refresh_tokens where spent_at is not null
            """;
        foreach (var time in await own.RowsAsync<DateTime>(times))
            Assert.Equal(time.ToHour(), time);
        foreach (var time in await own.RowsAsync<DateTime>(days))
            Assert.Equal(time.ToDay(), time);
    }

    private static async Task<TokenResponse> RenewAsync(TestServer on, string refreshToken)
    {
        using var response = await on.Http.RefreshAsync(refreshToken);
        return await response.ReadAsync<TokenResponse>();
    }

    /// <summary>A busy database answers that the call can be repeated.</summary>
    private static async Task<TokenResponse> RenewWhenPossibleAsync(TestServer on, string refreshToken)
    {
        while (true)
        {
            using var response = await on.Http.RefreshAsync(refreshToken);
            if (response.StatusCode != HttpStatusCode.ServiceUnavailable)
                return await response.ReadAsync<TokenResponse>();
            await Task.Delay(100);
        }
    }

    private static Task PurgeAsync(TestServer on) => on.Services.GetRequiredService<SessionStore>()
        .PurgeAsync(on.Time.GetUtcNow().UtcDateTime, TimeSpan.FromDays(30), batch: 1, CancellationToken.None);
}

public sealed class SessionTestsOnSqlite(SqliteServer server) : SessionTests(server);

public sealed class SessionTestsOnPostgres(PostgresServer server) : SessionTests(server);
