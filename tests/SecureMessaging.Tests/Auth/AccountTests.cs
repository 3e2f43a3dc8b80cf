using System.Net.Http.Json;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

public abstract class AccountTests(TestServer server)
{
    [Fact]
    public async Task A_user_reads_and_changes_its_own_profile()
    {
        await using var user = await server.SignUpAsync();
        await using var other = await server.SignUpAsync();
        var profile = await user.Http.GetFromJsonAsync<Profile>("/v1/me", Wire.Json);
        Assert.Equal((user.Id, user.Username, user.Email, "user"), (profile!.Id, profile.Username, profile.Email, profile.Role));
        Assert.Equal(TimeSpan.Zero, profile.CreatedOn.TimeOfDay);

        await (await user.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest($"New.{user.Email}", "a wrong password"), Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        var changed = await user.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest($"New.{user.Email}", user.Password), Wire.Json);
        Assert.Equal($"New.{user.Email}", (await changed.ReadAsync<Profile>()).Email);
        using var signedIn = await server.Http.SignInAsync($"new.{user.Email}", user.Password);
        Assert.Equal(200, (int)signedIn.StatusCode);
        await (await server.Http.SignInAsync(user.Email, user.Password)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await (await user.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest(other.Email, user.Password), Wire.Json))
            .ReadErrorAsync(409, ErrorCode.Conflict);
        await (await user.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest("nothing", user.Password), Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task The_email_address_is_encrypted_in_the_database()
    {
        await using var user = await server.SignUpAsync();
        var stored = await server.ScalarAsync<byte[]>("select email from users where id = @Id", new { user.Id });
        Assert.DoesNotContain(user.Username, Encoding.Latin1.GetString(stored!), StringComparison.Ordinal);
        // Padded, so that its length tells nothing.
        Assert.Equal(12 + 16 + 512, stored!.Length);
    }

    [Fact]
    public async Task Other_users_are_found_only_by_their_exact_name()
    {
        await using var user = await server.SignUpAsync();
        await using var other = await server.SignUpAsync();
        Assert.Equal(new UserSummary(other.Id, other.Username), await user.Http.GetFromJsonAsync<UserSummary>(
            $"/v1/users/{other.Username.ToUpperInvariant()}", Wire.Json));
        foreach (var name in new[] { other.Username[..^1], other.Username + "x", "%25", "_"
            + other.Username[1..], "ab", "a%20b", other.Id.ToString(), Uri.EscapeDataString(other.Email) })
            await (await user.Http.GetAsync($"/v1/users/{name}")).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await server.Http.GetAsync($"/v1/users/{other.Username}")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task A_new_password_ends_the_other_sessions_and_keeps_this_one()
    {
        await using var user = await server.SignUpAsync();
        var other = await user.SignInAsync();
        await (await ChangeAsync("a wrong password", "an entirely new one")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await ChangeAsync(user.Password, "short")).ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Equal(200, await server.Http.ProbeAsync(other.AccessToken));

        Assert.Equal(204, (int)(await ChangeAsync(user.Password, "an entirely new one")).StatusCode);
        Assert.Equal(200, await server.Http.ProbeAsync(user.Tokens.AccessToken));
        Assert.Equal(401, await server.Http.ProbeAsync(other.AccessToken));
        await (await server.Http.RefreshAsync(other.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await (await server.Http.SignInAsync(user.Username, user.Password)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(200, (int)(await server.Http.SignInAsync(user.Username, "an entirely new one")).StatusCode);

        Task<HttpResponseMessage> ChangeAsync(string current, string next) =>
            user.Http.PostAsJsonAsync("/v1/me/password", new ChangePasswordRequest(current, next), Wire.Json);
    }

    [Fact]
    public async Task A_deleted_account_leaves_no_row()
    {
        await using var user = await server.SignUpAsync();
        var other = await user.SignInAsync();
        using var ticket = await user.Http.PostAsync("/v1/auth/ticket", null);
        Assert.Equal(200, (int)ticket.StatusCode);
        await (await user.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest("a wrong password"), Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        using var deleted = await user.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(user.Password), Wire.Json);
        Assert.Equal(204, (int)deleted.StatusCode);

        Assert.Equal(401, await server.Http.ProbeAsync(user.Tokens.AccessToken));
        Assert.Equal(401, await server.Http.ProbeAsync(other.AccessToken));
        await (await server.Http.RefreshAsync(other.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await (await server.Http.SignInAsync(user.Username, user.Password)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        foreach (var sql in new[]
        {
            "select count(*) from users where id = @Id", "select count(*) from sessions where user_id = @Id",
            "select count(*) from refresh_tokens where session_id in (@First, @Second)", "select count(*) from tickets where session_id in (@First, @Second)",
        })
            Assert.Equal(0, await server.ScalarAsync<long>(sql, new { user.Id, First = user.Tokens.SessionId, Second = other.SessionId }));
    }

    [Theory]
    [InlineData("GET", "/v1/me")]
    [InlineData("PATCH", "/v1/me")]
    [InlineData("POST", "/v1/me/password")]
    [InlineData("POST", "/v1/me/delete")]
    [InlineData("GET", "/v1/me/sessions")]
    [InlineData("DELETE", "/v1/me/sessions/00000000-0000-0000-0000-000000000001")]
    [InlineData("GET", "/v1/users/anna")]
    [InlineData("POST", "/v1/auth/logout")]
    [InlineData("POST", "/v1/auth/logout-everywhere")]
    [InlineData("POST", "/v1/auth/ticket")]
    public async Task Without_a_token_every_door_rejects_the_call(string method, string path)
    {
        using var response = await server.Http.SendAsync(new HttpMethod(method), path, accessToken: null);
        await response.ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }
}

public sealed class AccountTestsOnSqlite(SqliteServer server) : AccountTests(server);

public sealed class AccountTestsOnPostgres(PostgresServer server) : AccountTests(server);
