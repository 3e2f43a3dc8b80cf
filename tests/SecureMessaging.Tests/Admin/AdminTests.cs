using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

public abstract class AdminTests(TestServer server)
{
    [Fact]
    public async Task A_disabled_account_loses_access_at_once_and_regains_it_when_enabled()
    {
        await using var admin = await server.SignUpAdminAsync();
        await using var user = await server.SignUpAsync();
        var connection = await user.ConnectAsync();
        var closed = new TaskCompletionSource();
        connection.Hub.Closed += _ =>
        {
            closed.TrySetResult();
            return Task.CompletedTask;
        };
        using var disabled = await admin.Http.PostAsync($"/v1/admin/users/{user.Username.ToUpperInvariant()}/disable", null);
        Assert.Equal(204, (int)disabled.StatusCode);
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(401, await server.Http.ProbeAsync(user.Tokens.AccessToken));
        await (await server.Http.RefreshAsync(user.Tokens.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await (await server.Http.SignInAsync(user.Username, user.Password)).ReadErrorAsync(401, ErrorCode.Unauthenticated);

        using var enabled = await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/enable", null);
        Assert.Equal(204, (int)enabled.StatusCode);
        Assert.Equal(200, (int)(await server.Http.SignInAsync(user.Username, user.Password)).StatusCode);
        Assert.Equal(401, await server.Http.ProbeAsync(user.Tokens.AccessToken));
    }

    [Fact]
    public async Task An_administrator_cannot_disable_itself_or_an_unknown_account()
    {
        await using var admin = await server.SignUpAdminAsync();
        await (await admin.Http.PostAsync($"/v1/admin/users/{admin.Username}/disable", null)).ReadErrorAsync(409, ErrorCode.Conflict);
        foreach (var name in new[] { "no-such-user-here", Uri.EscapeDataString(admin.Email), "%20" })
            await (await admin.Http.PostAsync($"/v1/admin/users/{name}/disable", null)).ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Theory]
    [InlineData("GET", "/v1/admin/stats")]
    [InlineData("POST", "/v1/admin/users/anna/disable")]
    [InlineData("POST", "/v1/admin/users/anna/enable")]
    [InlineData("GET", Wire.AdminHubPath)]
    [InlineData("POST", Wire.AdminHubPath + "/negotiate")]
    public async Task Users_without_the_role_are_rejected(string method, string path)
    {
        await using var user = await server.SignUpAsync();
        await (await server.Http.SendAsync(new HttpMethod(method), path, accessToken: null)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await (await server.Http.SendAsync(new HttpMethod(method), path, user.Tokens.AccessToken)).ReadErrorAsync(403, ErrorCode.Forbidden);
    }

    [Fact]
    public async Task A_removed_role_is_gone_at_once_through_every_door()
    {
        await using var admin = await server.SignUpAdminAsync();
        await using var user = await server.SignUpAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter());
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, admin.Tokens.AccessToken);
        var closed = new TaskCompletionSource();
        watch.Hub.Closed += _ =>
        {
            closed.TrySetResult();
            return Task.CompletedTask;
        };
        const string query = "{ stats { users } }";
        await (await socket.SubscribeAsync(query)).NextAsync();
        await admin.Http.AskAsync(query);

        await server.Database.ExecuteAsync("update users set role = 0 where id = @Id", new { admin.Id }, CancellationToken.None);
        await (await admin.Http.GetAsync("/v1/admin/stats")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/disable", null)).ReadErrorAsync(403, ErrorCode.Forbidden);
        Assert.Equal(ErrorCode.Forbidden, await admin.Http.RefusalAsync(query));
        Assert.Equal(ErrorCode.Forbidden, GraphQLCalls.CodeOf(await (await socket.SubscribeAsync(query)).PayloadAsync()));
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(10));
        await Assert.ThrowsAnyAsync<Exception>(() => LogWatch.StartAsync(admin, new LogFilter()));
        // The account itself continues, and a granted role also takes effect at once.
        Assert.Equal(200, await server.Http.ProbeAsync(admin.Tokens.AccessToken));
        await server.Database.ExecuteAsync("update users set role = 1 where id = @Id", new { user.Id }, CancellationToken.None);
        Assert.Equal(200, (int)(await user.Http.GetAsync("/v1/admin/stats")).StatusCode);
    }

    [Fact]
    public async Task Stats_are_correct()
    {
        await using var dedicated = await server.DedicatedAsync("--Server:NodeName=counted");
        await using var admin = await dedicated.SignUpAdminAsync();
        await using var user = await dedicated.SignUpAsync();
        var room = await user.CreateRoomAsync([]);
        await (await user.ConnectAsync()).SendAsync(room.Id, [1]);
        await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/disable", null);
        var head = await dedicated.ScalarAsync<long>("select last_seq from rooms");
        Assert.Equal(new AdminStats("counted", 2, 1, 1, 2, 1, head), await admin.Http.GetFromJsonAsync<AdminStats>("/v1/admin/stats", Wire.Json));
    }
}

public sealed class AdminTestsOnSqlite(SqliteServer server) : AdminTests(server);

public sealed class AdminTestsOnPostgres(PostgresServer server) : AdminTests(server);
