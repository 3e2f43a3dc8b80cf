using System.Buffers.Text;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Notifications;

/// <summary>Pushes to a real push service on this machine.</summary>
public abstract class PushTests(TestServer shared)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_message_wakes_disconnected_members_with_an_empty_signed_push()
    {
        await using var world = await PushWorld.StartAsync(shared);
        var (anna, ben) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"));
        var room = await anna.CreateRoomAsync([ben]);
        await world.SendAsync(anna, room);
        var push = await world.Service.NextAsync();
        Assert.Equal(("POST", "/ben", 0), (push.Method, push.Path, push.BodyBytes));
        Assert.Equal(["Authorization", "Content-Length", "Host", "TTL", "Urgency"], push.Headers.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("0", "normal", "86400"), (push.Headers["Content-Length"], push.Headers["Urgency"], push.Headers["TTL"]));
        var settings = await anna.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json);
        Verify(push.Headers["Authorization"], world, settings!.Push.PublicKey!);

        await world.FenceAsync();
        Assert.Equal((1, 0), (world.Service.Count("/ben"), world.Service.Count("/anna")));
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Connected_members_get_no_push_and_others_at_most_one_per_interval()
    {
        await using var world = await PushWorld.StartAsync(shared);
        var (anna, ben) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"));
        var room = await anna.CreateRoomAsync([ben]);
        await using (var connection = await ben.ConnectAsync())
        {
            await world.SendAsync(anna, room);
            await connection.WaitAsync(room.Id, entries => entries.Length > 0);
            await world.FenceAsync();
            Assert.Equal(0, world.Service.Count("/ben"));
        }

        await world.GoneAsync(ben);
        await world.SendAsync(anna, room);
        await world.NextAsync("/ben");
        // Messages during the interval cause one push after it.
        for (var i = 0; i < 5; i++)
            await world.SendAsync(anna, room);
        await world.FenceAsync();
        Assert.Equal(1, world.Service.Count("/ben"));
        world.Server.Time.Advance(Interval);
        await world.NextAsync("/ben");
        await world.FenceAsync();
        world.Server.Time.Advance(Interval);
        await world.FenceAsync();
        Assert.Equal(2, world.Service.Count("/ben"));

        // A member that connected meanwhile may be woken again at once.
        await world.SendAsync(anna, room);
        await world.NextAsync("/ben");
        await using (await ben.ConnectAsync())
            await world.FenceAsync();
        await world.GoneAsync(ben);
        await world.SendAsync(anna, room);
        await world.NextAsync("/ben");
        Assert.Equal(4, world.Service.Count("/ben"));
    }

    [Fact]
    public async Task Pushes_follow_the_settings()
    {
        await using var world = await PushWorld.StartAsync(shared);
        var anna = await world.AddAsync("/anna");
        var (muted, here, low, quiet, urgent) =
            (await world.AddAsync("/muted"), await world.AddAsync("/here"), await world.AddAsync("/low"), await world.AddAsync("/quiet"), await world.AddAsync(
                "/urgent"));
        var room = await anna.CreateRoomAsync([muted, here, low, quiet, urgent]);
        var minute = (int)world.Server.Time.GetUtcNow().TimeOfDay.TotalMinutes;
        var night = new NotificationSettings(QuietFrom: Wrap(minute - 1), QuietUntil: Wrap(minute + 3), TimeZone: "UTC");
        await PutAsync(muted, "", new(Muted: true, Priority: NotificationPriority.High));
        await PutAsync(here, "", new(Muted: true));
        await PutAsync(here, $"/rooms/{room.Id}", new(Priority: NotificationPriority.High));
        await PutAsync(low, "", new(Priority: NotificationPriority.Low));
        await PutAsync(quiet, "", night);
        await PutAsync(urgent, "", night with { Priority = NotificationPriority.High });

        await world.SendAsync(anna, room);
        await world.FenceAsync();
        Assert.Equal([("/here", "high"), ("/low", "low"), ("/urgent", "high")], world.Seen.OrderBy(push => push.Path, StringComparer.Ordinal)
            .Select(push => (push.Path, push.Headers["Urgency"])));
        world.Server.Time.Advance(TimeSpan.FromMinutes(4));
        await world.SendAsync(anna, room);
        await world.NextAsync("/quiet");
        await world.FenceAsync();
        Assert.Equal(0, world.Service.Count("/muted"));

        // By the zone's clock, not the server's.
        await PutAsync(
            quiet, "", night with { QuietFrom = Wrap(minute + (5 * 60) + 40), QuietUntil = Wrap(minute + (5 * 60) + 55), TimeZone = "Asia/Kathmandu" });
        world.Server.Time.Advance(Interval);
        await world.SendAsync(anna, room);
        await world.FenceAsync();
        Assert.Equal(1, world.Service.Count("/quiet"));

        static int Wrap(int value) => (value + (24 * 60)) % (24 * 60);
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task An_endpoint_that_is_gone_is_deleted_and_a_busy_one_is_retried_later()
    {
        await using var world = await PushWorld.StartAsync(shared);
        var (anna, ben, carl) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"), await world.AddAsync("/carl"));
        var room = await anna.CreateRoomAsync([ben, carl]);
        world.Service.Answer = context =>
        {
            context.Response.StatusCode = context.Request.Path == "/ben" ? StatusCodes.Status410Gone : StatusCodes.Status429TooManyRequests;
            context.Response.Headers.RetryAfter = "120";
        };
        await world.SendAsync(anna, room);
        await world.NextAsync("/ben");
        await world.NextAsync("/carl");
        await PushWorld.UntilAsync(async () => !(await ben.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Push.Registered);
        Assert.True((await carl.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Push.Registered);

        world.Service.Answer = context => context.Response.StatusCode = StatusCodes.Status201Created;
        await world.FenceAsync();
        world.Server.Time.Advance(TimeSpan.FromSeconds(100));
        await world.SendAsync(anna, room);
        await world.FenceAsync();
        Assert.Equal((1, 1), (world.Service.Count("/ben"), world.Service.Count("/carl")));
        world.Server.Time.Advance(TimeSpan.FromSeconds(40));
        await world.NextAsync("/carl");
    }

    [Theory]
    [InlineData(400, false)]
    [InlineData(401, false)]
    [InlineData(403, false)]
    [InlineData(405, false)]
    [InlineData(413, false)]
    [InlineData(408, true)]
    [InlineData(425, true)]
    [InlineData(429, true)]
    [InlineData(500, true)]
    [InlineData(503, true)]
    public async Task A_definite_rejection_deletes_the_endpoint_and_is_logged_once(int status, bool stays)
    {
        await using var world = await PushWorld.StartAsync(shared);
        var (anna, ben, carl) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"), await world.AddAsync("/carl"));
        var room = await anna.CreateRoomAsync([ben, carl]);
        world.Service.Answer = context => context.Response.StatusCode = context.Request.Path.StartsWithSegments("/fence-1", StringComparison.Ordinal)
            ? StatusCodes.Status201Created : status;
        await world.SendAsync(anna, room);
        await world.NextAsync("/ben");
        await world.NextAsync("/carl");
        world.Service.Answer = context => context.Response.StatusCode = StatusCodes.Status201Created;
        await world.FenceAsync();
        foreach (var user in new[] { ben, carl })
            Assert.Equal(stays, (await user.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Push.Registered);
        Assert.Equal(stays ? 0 : 1, world.Server.Logs.Count(line => line.Contains($"with status {status};", StringComparison.Ordinal)));
        Assert.DoesNotContain(world.Server.Logs, line => line.Contains("/ben", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("--Push:Contact=mailto:operator@example.org", false)]
    [InlineData("--Push:Contact=https://example.org/contact", false)]
    [InlineData("--Push:Enabled=false", false)]
    public async Task A_missing_contact_logs_a_warning_at_start(string setting, bool warned)
    {
        await using var server = await shared.DedicatedAsync(setting is "" ? [] : [setting]);
        Assert.Equal(warned, server.Logs.Any(line => line.Contains("Push:Contact is not set", StringComparison.Ordinal)));
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task A_failing_endpoint_stops_no_other_endpoint()
    {
        await using var world = await PushWorld.StartAsync(shared);
        world.Hurries = true;
        var (anna, ben) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"));
        var room = await anna.CreateRoomAsync([ben]);
        world.Service.Answer = context =>
            context.Response.StatusCode = context.Request.Path == "/ben" ? StatusCodes.Status500InternalServerError : StatusCodes.Status201Created;
        await world.SendAsync(anna, room);
        // More often than a 32-bit number can be doubled.
        for (var i = 0; i < 33; i++)
        {
            await world.NextAsync("/ben");
            await world.FenceAsync();
            // Messages during the pause cause the next attempt.
            anna.Use(await anna.SignInAsync());
            await world.SendAsync(anna, room);
            await world.FenceAsync();
            world.Server.Time.Advance(TimeSpan.FromMinutes(61));
        }
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using var world = await PushWorld.StartAsync(shared);
        await using var elsewhere = await TestPushService.StartAsync();
        var (anna, ben) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"));
        var room = await anna.CreateRoomAsync([ben]);
        world.Service.Answer = context => context.Response.Redirect($"{elsewhere.Origin}/stolen");
        await world.SendAsync(anna, room);
        await world.NextAsync("/ben");
        world.Service.Answer = context => context.Response.StatusCode = StatusCodes.Status201Created;
        await world.FenceAsync();
        Assert.Equal(0, elsewhere.Count("/stolen"));
    }

    [Fact]
    public async Task An_endpoint_is_deleted_with_its_session_and_stored_encrypted()
    {
        await using var world = await PushWorld.StartAsync(shared);
        await using var anna = await world.AddAsync("/canary-endpoint");
        var stored = await world.Server.ScalarAsync<byte[]>("select push_endpoint from sessions where id = @SessionId", new { anna.Tokens.SessionId });
        Assert.DoesNotContain("canary-endpoint", Encoding.Latin1.GetString(stored!), StringComparison.Ordinal);
        Assert.DoesNotContain(world.Server.Logs, line => line.Contains("canary-endpoint", StringComparison.Ordinal));

        Assert.Equal(204, (int)(await anna.Http.DeleteAsync("/v1/me/push")).StatusCode);
        Assert.Equal(0, await CountAsync());
        foreach (var end in new Func<TokenResponse, Task<HttpResponseMessage>>[]
        {
            tokens => world.Server.Http.SendAsync(HttpMethod.Post, "/v1/auth/logout", tokens.AccessToken),
            tokens => anna.Http.DeleteAsync($"/v1/me/sessions/{tokens.SessionId}"),
            tokens => anna.Http.PostAsJsonAsync("/v1/me/password", new ChangePasswordRequest(anna.Password, anna.Password), Wire.Json),
            tokens => world.Server.Http.SendAsync(HttpMethod.Post, "/v1/auth/logout-everywhere", tokens.AccessToken),
        })
        {
            var other = await anna.SignInAsync();
            using var registered = await world.Server.Http.SendAsync(
                HttpMethod.Put, "/v1/me/push", other.AccessToken, new RegisterPushRequest($"{world.Service.Origin}/other"));
            Assert.Equal((204, 1L), ((int)registered.StatusCode, await CountAsync()));
            (await end(other)).EnsureSuccessStatusCode();
            Assert.Equal(0, await CountAsync());
        }

        Task<long> CountAsync() => world.Server.ScalarAsync<long>("select count(*) from sessions where push_endpoint is not null");
    }

    [Fact]
    public async Task Pushes_can_be_disabled()
    {
        await using var server = await shared.DedicatedAsync("--Push:Enabled=false");
        await using var anna = await server.SignUpAsync();
        await (await anna.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest("https://push.example.org/1"), Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        Assert.Null((await anna.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Push.PublicKey);
        Assert.False(File.Exists(Path.Combine(server.DataDirectory, "keys", "push.key")));
    }

    private static async Task PutAsync(TestUser user, string path, NotificationSettings settings) =>
        (await user.Http.PutAsJsonAsync($"/v1/me/settings{path}", settings, Wire.Json)).EnsureSuccessStatusCode();

    /// <summary>RFC 8292 sections 2 and 3.</summary>
    private static void Verify(string authorization, PushWorld world, string publicKey)
    {
        Assert.StartsWith("vapid t=", authorization, StringComparison.Ordinal);
        var parts = authorization["vapid t=".Length..].Split(", k=");
        Assert.Equal(publicKey, parts[1]);
        var point = Base64Url.DecodeFromChars(publicKey);
        Assert.Equal((65, 4), (point.Length, point[0]));
        using var key = ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = new ECPoint { X = point[1..33], Y = point[33..] } });
        var token = parts[0].Split('.');
        Assert.True(key.VerifyData(Encoding.ASCII.GetBytes($"{token[0]}.{token[1]}"), Base64Url.DecodeFromChars(token[2]), HashAlgorithmName.SHA256));
        using var header = JsonDocument.Parse(Base64Url.DecodeFromChars(token[0]));
        Assert.Equal("ES256", header.RootElement.GetProperty("alg").GetString());
        using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(token[1]));
        Assert.Equal(["aud", "exp", "sub"], claims.RootElement.EnumerateObject().Select(claim => claim.Name));
        Assert.Equal(
            (world.Service.Origin, PushWorld.Contact), (claims.RootElement.GetProperty("aud").GetString(), claims.RootElement.GetProperty("sub").GetString()));
        var left = DateTimeOffset.FromUnixTimeSeconds(claims.RootElement.GetProperty("exp").GetInt64()) - world.Server.Time.GetUtcNow();
        Assert.InRange(left, TimeSpan.FromHours(1), TimeSpan.FromHours(24));
    }
}

public sealed class PushTestsOnSqlite(SqliteServer server) : PushTests(server);

public sealed class PushTestsOnPostgres(PostgresServer server) : PushTests(server)
{
    private readonly PostgresServer server = server;

    [Fact]
    public async Task Only_the_node_that_committed_sends_the_push()
    {
        await using var world = await PushWorld.StartAsync(server);
        await using var other = await world.Server.AnotherNodeAsync(world.Arguments);
        var (anna, ben) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"));
        var room = await anna.CreateRoomAsync([ben]);
        using var sent = await other.Http.SendAsync(
            HttpMethod.Post, $"/v1/rooms/{room.Id}/messages", anna.Tokens.AccessToken, new SendRequest(room.Id, Guid.NewGuid(), [1]));
        sent.EnsureSuccessStatusCode();
        var push = await world.NextAsync("/ben");
        var settings = await ben.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json);
        Assert.EndsWith($"k={settings!.Push.PublicKey}", push.Headers["Authorization"], StringComparison.Ordinal);
        await world.FenceAsync();
        Assert.Equal(1, world.Service.Count("/ben"));
    }

    [Fact]
    public async Task An_endpoint_that_is_no_longer_allowed_is_deleted_without_a_call()
    {
        await using var world = await PushWorld.StartAsync(server);
        await using var strict = await world.Server.AnotherNodeAsync();
        var (anna, ben) = (await world.AddAsync("/anna"), await world.AddAsync("/ben"));
        var room = await anna.CreateRoomAsync([ben]);
        using var sent = await strict.Http.SendAsync(
            HttpMethod.Post, $"/v1/rooms/{room.Id}/messages", anna.Tokens.AccessToken, new SendRequest(room.Id, Guid.NewGuid(), [1]));
        sent.EnsureSuccessStatusCode();
        await PushWorld.UntilAsync(async () => !(await ben.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Push.Registered);
        Assert.Equal(0, world.Service.Count("/ben"));
    }
}
