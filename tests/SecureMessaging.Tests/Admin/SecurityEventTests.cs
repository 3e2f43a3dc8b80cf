using System.Globalization;
using System.Net.Http.Json;
using System.Net.WebSockets;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>Attacks are counted and logged once a minute per cause; administrators' actions are logged with actor and target.</summary>
public abstract class SecurityEventTests(TestServer server)
{
    [Fact]
    public async Task A_flood_of_rejections_writes_one_line_per_cause()
    {
        await using var node = await server.DedicatedAsync("--Auth:FailuresBeforeBackoff=3");
        await using var admin = await node.SignUpAdminAsync();
        await using var user = await node.SignUpAsync();
        var tokens = user.Tokens;
        node.Services.GetRequiredService<SecurityEvents>().Write();
        node.Logs.Clear();
        for (var i = 0; i < 30; i++)
        {
            await Assert.ThrowsAsync<WebSocketException>(() => UpgradeAsync(node, $"?ticket={Guid.NewGuid():N}", origin: null));
            Assert.Equal(401, await node.Http.ProbeAsync($"canary.token.{i}"));
            await (await user.Http.GetAsync("/v1/admin/stats")).ReadErrorAsync(403, ErrorCode.Forbidden);
            await user.Http.RefusalAsync("{ stats { users } }");
        }

        // Ten failures, then two that must wait.
        for (var i = 0; i < 12; i++)
        {
            if (i is >= 3 and < 10)
                node.Time.Advance(TimeSpan.FromSeconds(1 << (i - 3)));
            await node.Http.SignInAsync("canary-unknown", "canary-password");
            await node.Http.SignInAsync(admin.Username, "canary-password");
            await user.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest("canary@example.org", "canary-password"), Wire.Json);
        }

        await Assert.ThrowsAsync<WebSocketException>(() => UpgradeAsync(node, "", "https://canary.example"));
        var successor = await (await node.Http.RefreshAsync(tokens.RefreshToken)).ReadAsync<TokenResponse>();
        await (await node.Http.RefreshAsync(successor.RefreshToken)).ReadAsync<TokenResponse>();
        await (await node.Http.RefreshAsync(tokens.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);

        node.Services.GetRequiredService<SecurityEvents>().Write();
        var expected = new Dictionary<SecurityCause, int>
        {
            [SecurityCause.TicketRefused] = 30,
            [SecurityCause.TokenRefused] = 30,
            [SecurityCause.AdministrationRefused] = 60,
            [SecurityCause.SignInFailed] = 10,
            [SecurityCause.SignInAsAdministratorFailed] = 10,
            [SecurityCause.ConfirmationFailed] = 10,
            [SecurityCause.SignInAsAdministratorSlowed] = 2,
            [SecurityCause.SignInSlowed] = 4,
            [SecurityCause.OriginRefused] = 1,
            [SecurityCause.RefreshTokenReused] = 1,
        };
        // On a slow machine a minute may pass meanwhile; a cause then has two or three lines.
        Assert.InRange(node.Logs.Count, expected.Count, 3 * expected.Count);
        var counted = node.Logs.Select(line => Message(line).Split(' ')).ToList();
        Assert.All(counted, words => Assert.Equal(("Security event", "within a minute"), (string.Join(' ', words[..2]), string.Join(' ', words[^3..]))));
        Assert.Equal(
            expected.OrderBy(cause => cause.Key),
            counted.GroupBy(words => Enum.Parse<SecurityCause>(words[2].TrimEnd(':')), words => int.Parse(words[3], CultureInfo.InvariantCulture))
                .Select(cause => KeyValuePair.Create(cause.Key, cause.Sum())).OrderBy(cause => cause.Key));
        foreach (var line in node.Logs)
        {
            foreach (var secret in new[] { "canary", admin.Username, user.Username, "127.0.0.1", user.Id.ToString(), admin.Id.ToString() })
                Assert.DoesNotContain(secret, line, StringComparison.Ordinal);
        }

        // No event since then.
        node.Logs.Clear();
        node.Services.GetRequiredService<SecurityEvents>().Write();
        Assert.Empty(node.Logs);
    }

    [Fact]
    public async Task Administrators_actions_are_logged_with_actor_and_target()
    {
        await using var node = await server.DedicatedAsync();
        await using var admin = await node.SignUpAdminAsync();
        await using var user = await node.SignUpAsync();
        node.Logs.Clear();
        (await admin.Http.PostAsync($"/v1/admin/users/{user.Username}/disable", null)).EnsureSuccessStatusCode();
        await admin.Http.AskAsync("mutation($u: String!) { enableUser(username: $u) }", new { u = user.Username });
        Assert.Equal(
            [$"Administrator {admin.Id} disabled account {user.Id}; 1 sessions ended", $"Administrator {admin.Id} enabled account {user.Id}"],
            node.Logs.Select(Message));
        Assert.DoesNotContain(node.Logs, line => line.Contains(user.Username, StringComparison.Ordinal));
    }

    private static async Task UpgradeAsync(TestServer node, string query, string? origin)
    {
        using var socket = new ClientWebSocket();
        if (origin is not null)
            socket.Options.SetRequestHeader("Origin", origin);
        await socket.ConnectAsync(new Uri($"ws://127.0.0.1:{node.Url.Port}{Wire.HubPath}{query}"), CancellationToken.None);
    }

    private static string Message(string line) => System.Text.Json.JsonDocument.Parse(line).RootElement.GetProperty("@m")
        .GetString()!.Replace("\"", "", StringComparison.Ordinal);
}

public sealed class SecurityEventTestsOnSqlite(SqliteServer server) : SecurityEventTests(server);

public sealed class SecurityEventTestsOnPostgres(PostgresServer server) : SecurityEventTests(server);
