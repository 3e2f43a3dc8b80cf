using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Limiting;

/// <summary>Requests over a limit are rejected through every door, and other callers are not affected.</summary>
public abstract class RateLimitTests(TestServer server)
{
    private const string On = "--RateLimits:Enabled=true";

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Incomplete_bodies_are_bounded_per_account()
    {
        const int length = 4 * 1024 * 1024;
        await using var node = await server.DedicatedAsync(On);
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        var answered = TimeSpan.FromSeconds(10);
        var silent = TimeSpan.FromSeconds(0.5);
        Assert.StartsWith("HTTP/1.1 413 ", await StallAsync(null, answered), StringComparison.Ordinal);
        var stalled = new List<TcpClient>();
        // 64 MiB of them.
        for (var i = 0; i < 16; i++)
            Assert.Equal("", await StallAsync(anna, silent, stalled));
        Assert.StartsWith("HTTP/1.1 429 ", await StallAsync(anna, answered), StringComparison.Ordinal);
        Assert.Equal("", await StallAsync(ben, silent));
        stalled.ForEach(client => client.Dispose());
        await Eventually.TrueAsync(async () => await StallAsync(anna, silent) == "");

        // The server's response within this time to a request whose body stops, after more bytes than the web server's minimum rate requires for a
        // minute.
        async Task<string> StallAsync(TestUser? user, TimeSpan patience, List<TcpClient>? kept = null)
        {
            var client = new TcpClient();
            await client.ConnectAsync(node.Url.Host, node.Url.Port);
            await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(
                $"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
                + (user is null ? "" : $"Authorization: Bearer {user.Tokens.AccessToken}\r\n") + "\r\n" + new string(' ', 32 * 1024)));
            var buffer = new byte[64];
            using var moment = new CancellationTokenSource(patience);
            try
            {
                return System.Text.Encoding.ASCII.GetString(buffer, 0, await client.GetStream().ReadAsync(buffer, moment.Token));
            }
            catch (OperationCanceledException)
            {
                return "";
            }
            finally
            {
                if (kept is null)
                    client.Dispose();
                else
                    kept.Add(client);
            }
        }
    }

    [Fact]
    public async Task Sends_share_one_limit_through_all_doors()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("Sends", 6, 6)]);
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([ben]);
        var hub = await anna.ConnectAsync();
        await hub.SendAsync(room.Id, [1]);
        Assert.All(await hub.SendBatchAsync(New(room), New(room)), result => Assert.NotNull(result.Ack));
        using (var sent = await PostAsync(anna, room))
        {
            await sent.ReadAsync<SendAck>();
            Assert.Contains("\"sends\";q=6;w=60", sent.Headers.GetValues("RateLimit-Policy").Single(), StringComparison.Ordinal);
            Assert.Matches("\"sends\";r=2;t=(3|4)\\d", sent.Headers.GetValues("RateLimit").Single());
        }

        const string mutation = "mutation($i: SendInput!) { send(input: $i) { seq } }";
        await anna.Http.AskAsync(mutation, new { i = Input(room) });
        // Three do not fit, and none of them is stored.
        var refused = await Assert.ThrowsAsync<HubError>(() => hub.SendBatchAsync(New(room), New(room), New(room)));
        Assert.Equal(ErrorCode.RateLimited, refused.Body.Code);
        await hub.SendAsync(room.Id, [1]);

        refused = await Assert.ThrowsAsync<HubError>(() => hub.SendAsync(room.Id, [1]));
        Assert.True(refused.Body is { Code: ErrorCode.RateLimited, Retryable: true, RetryAfterMs: > 0 and <= 10_000 }, refused.Body.ToString());
        using (var sent = await PostAsync(anna, room))
        {
            var error = await sent.ReadErrorAsync(429, ErrorCode.RateLimited);
            Assert.InRange(error.RetryAfterMs!.Value, 1, 10_000);
            Assert.InRange(sent.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 10);
            Assert.Contains("\"sends\";r=0", sent.Headers.GetValues("RateLimit").Single(), StringComparison.Ordinal);
        }

        var reply = await anna.Http.ReplyAsync(mutation, new { i = Input(room) });
        Assert.Equal(ErrorCode.RateLimited, GraphQLCalls.CodeOf(reply));
        Assert.InRange(reply.GetProperty("errors")[0].GetProperty("extensions").GetProperty("retryAfterMs").GetInt32(), 1, 10_000);
        // Another account has its own limit, and time refills this one.
        await (await ben.ConnectAsync()).SendAsync(room.Id, [1]);
        Assert.Equal(2 + 6 + 1, (await hub.SyncAsync(room.Id, 0)).HeadSeq);
        node.Time.Advance(TimeSpan.FromSeconds(10));
        await hub.SendAsync(room.Id, [1]);
    }

    [Fact]
    public async Task Sign_ups_sign_ins_and_refreshes_are_counted_per_address_by_both_doors()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("SignUps", 3, 1), .. Rule("SignIns", 2, 1), .. Rule("Renewals", 2, 1)]);
        await using var anna = await node.SignUpAsync();
        var request = TestPeople.NewSignUp();
        const string signUp = "mutation($i: SignUpInput!) { signUp(input: $i) { userId } }";
        await node.Http.AskAsync(signUp, new { i = new { username = request.Username, email = request.Email, password = request.Password } });
        await using var ben = await node.SignUpAsync();
        request = TestPeople.NewSignUp();
        Assert.Equal(ErrorCode.RateLimited, await node.Http.RefusalAsync(
            signUp, new { i = new { username = request.Username, email = request.Email, password = request.Password } }));
        using (var refused = await node.Http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json))
        {
            await refused.ReadErrorAsync(429, ErrorCode.RateLimited);
            Assert.Equal(60, refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 2.0);
            Assert.Equal("\"sign-ups\";q=3;w=180", refused.Headers.GetValues("RateLimit-Policy").Single());
        }

        await anna.SignInAsync();
        Assert.NotEqual(
            ErrorCode.RateLimited, await node.Http.RefusalAsync("mutation { signIn(username: \"unknown\", password: \"no password\") { userId } }"));
        using (var refused = await node.Http.SignInAsync(anna.Username, anna.Password))
            await refused.ReadErrorAsync(429, ErrorCode.RateLimited);
        Assert.Equal(ErrorCode.RateLimited, await node.Http.RefusalAsync("mutation { signIn(username: \"unknown\", password: \"no password\") { userId } }"));

        for (var i = 0; i < 2; i++)
        {
            using var response = await node.Http.RefreshAsync(anna.Tokens.RefreshToken);
            anna.Use(await response.ReadAsync<TokenResponse>());
        }

        using (var refused = await node.Http.RefreshAsync(anna.Tokens.RefreshToken))
            await refused.ReadErrorAsync(429, ErrorCode.RateLimited);
        Assert.Equal(ErrorCode.RateLimited, await node.Http.RefusalAsync(
            "mutation($t: String!) { refresh(refreshToken: $t) { userId } }", new { t = anna.Tokens.RefreshToken }));
        // Tickets count per account, and the rejected refresh has not used the token.
        await anna.Http.AskAsync("mutation { issueTicket { ticket } }");
        (await anna.Http.PostAsync("/v1/auth/ticket", null)).EnsureSuccessStatusCode();
        using (var refused = await anna.Http.PostAsync("/v1/auth/ticket", null))
            await refused.ReadErrorAsync(429, ErrorCode.RateLimited);
        node.Time.Advance(TimeSpan.FromMinutes(2));
        using var renewed = await node.Http.RefreshAsync(anna.Tokens.RefreshToken);
        await renewed.ReadAsync<TokenResponse>();
    }

    [Fact]
    public async Task Other_requests_are_counted_per_account_and_before_that_per_address()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("Requests", 20, 60), .. Rule("RequestsOfAddress", 60, 60)]);
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        using (var first = await anna.Http.GetAsync("/v1/me"))
            Assert.Equal("\"requests\";r=19;t=1", first.Headers.GetValues("RateLimit").Single());
        // Hub calls count in the same limit.
        var hub = await anna.ConnectAsync();
        for (var refused = false; !refused;)
        {
            try
            {
                await hub.HeadsAsync();
            }
            catch (HubError error)
            {
                Assert.Equal(ErrorCode.RateLimited, error.Body.Code);
                refused = true;
            }
        }

        using (var refused = await anna.Http.GetAsync("/v1/me"))
            await refused.ReadErrorAsync(429, ErrorCode.RateLimited);
        Assert.Equal(200, await node.Http.ProbeAsync(ben.Tokens.AccessToken));

        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 60; i++)
        {
            using var response = await node.Http.GetAsync("/v1/limits");
            statuses.Add(response.StatusCode);
        }

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.TooManyRequests], statuses.Distinct());
        Assert.Equal(429, await node.Http.ProbeAsync(ben.Tokens.AccessToken));
        // Probes are not limited: clients must not take a node out of service.
        (await node.Http.GetAsync("/health/ready")).EnsureSuccessStatusCode();
        Assert.DoesNotContain(node.Logs, line => line.Contains("127.0.0.1", StringComparison.Ordinal) && line.Contains("imit", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Connects_of_an_account_are_counted_on_hub_and_GraphQL()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("Connects", 3, 1)]);
        await using var anna = await node.SignUpAsync();
        await anna.ConnectAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(node.Url, anna.Tokens.AccessToken);
        await anna.ConnectAsync();
        Assert.Contains("'429'", (await Assert.ThrowsAsync<WebSocketException>(() => anna.ConnectAsync())).Message, StringComparison.Ordinal);
        await using var late = await GraphQLTestSocket.OpenAsync(node.Url);
        await late.SendAsync(new { type = "connection_init", payload = new { accessToken = anna.Tokens.AccessToken } });
        Assert.Equal(1013, await late.ClosedAsync());
        await using var ben = await node.SignUpAsync();
        await ben.ConnectAsync();
        node.Time.Advance(TimeSpan.FromMinutes(1));
        await anna.ConnectAsync();
    }

    [Fact]
    public async Task The_cost_of_GraphQL_operations_is_counted_over_HTTP_and_WebSockets()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("GraphQL", 300, 60)]);
        await using var anna = await node.SignUpAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(node.Url, anna.Tokens.AccessToken);
        const string query = "{ rooms { id log(first: 10) { nodes { seq } } } }";
        await anna.Http.AskAsync(query);
        var reply = await anna.Http.ReplyAsync(query);
        Assert.Equal(ErrorCode.RateLimited, GraphQLCalls.CodeOf(reply));
        var error = await (await socket.SubscribeAsync(query)).ErrorAsync();
        Assert.Equal("RateLimited", error[0].GetProperty("extensions").GetProperty("code").GetString());
        Assert.True(error[0].GetProperty("extensions").GetProperty("retryAfterMs").GetInt32() > 0);
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "/graphql")
        { Content = JsonContent.Create(new { query }), Headers = { Accept = { new("application/graphql-response+json") } } };
        using var refused = await anna.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        // Without authentication the address counts.
        await node.Http.AskAsync("{ limits { pageEntries } }");
        node.Time.Advance(TimeSpan.FromMinutes(5));
        await anna.Http.AskAsync(query);
    }

    [Fact]
    public async Task Rejected_operations_are_counted()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("GraphQL", 50, 1)]);
        await using var anna = await node.SignUpAsync();
        await using var socket = await GraphQLTestSocket.ConnectAsync(node.Url, anna.Tokens.AccessToken);
        for (var i = 0; i < 5; i++)
            Assert.Equal("Invalid", await CodeAsync());
        Assert.Equal("RateLimited", await CodeAsync());
        Assert.Equal(ErrorCode.RateLimited, await anna.Http.RefusalAsync("{"));

        async Task<string?> CodeAsync() => (await (await socket.SubscribeAsync("{")).ErrorAsync())[0].GetProperty("extensions").GetProperty("code").GetString();
    }

    [Fact]
    public async Task Forwarded_addresses_count_only_from_a_known_proxy()
    {
        string[] rules = [On, .. Rule("RequestsOfAddress", 5, 1)];
        await using (var node = await server.DedicatedAsync(rules))
            Assert.Equal(5, await CountAsync(node, i => $"203.0.113.{i}"));
        await using (var node = await server.DedicatedAsync([.. rules, "--Server:KnownProxies:0=127.0.0.0/8"]))
        {
            Assert.Equal(20, await CountAsync(node, i => $"203.0.113.{i}"));
            // The part that the client itself wrote before the proxy's entry is not trusted.
            Assert.Equal(5, await CountAsync(node, i => $"198.51.100.{i}, 203.0.113.200"));
            Assert.Equal(5, await CountAsync(node, i => $"2001:db8:0:1::{i}"));
        }

        static async Task<int> CountAsync(TestServer node, Func<int, string> forwarded)
        {
            var passed = 0;
            for (var i = 1; i <= 20; i++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/limits") { Headers = { { "X-Forwarded-For", forwarded(i) } } };
                using var response = await node.Http.SendAsync(request);
                passed += response.IsSuccessStatusCode ? 1 : 0;
            }

            return passed;
        }
    }

    [Fact]
    public async Task One_caller_at_100_times_its_limit_slows_no_other_caller()
    {
        await using var node = await server.DedicatedAsync([On, .. Rule("Sends", 500, 3000)]);
        await using var flooder = await node.SignUpAsync();
        await using var anna = await node.SignUpAsync();
        var (his, hers) = (await flooder.CreateRoomAsync([]), await anna.CreateRoomAsync([]));
        var hub = await anna.ConnectAsync();
        var quiet = await MedianAsync();

        using var stop = new CancellationTokenSource();
        var (answered, refused) = (0, 0);
        var flood = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            var connection = await flooder.ConnectAsync();
            var pending = new Queue<Task>();
            while (!stop.IsCancellationRequested)
            {
                // Pipelined: it never waits for responses before the next few hundred.
                for (var i = 0; i < 500; i++)
                    pending.Enqueue(
                        connection.Hub.InvokeAsync<SendAck>(nameof(IChatHub.Send), new SendRequest(his.Id, Guid.NewGuid(), [1]), CancellationToken.None));
                while (pending.Count > 2000 && !stop.IsCancellationRequested)
                    await CountAsync(pending.Dequeue());
            }
        })).ToArray();
        while (Volatile.Read(ref refused) < 20)
            await Task.Delay(10);
        var beside = await MedianAsync();
        await stop.CancelAsync();
        await Task.WhenAll(flood);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"median of a send: {quiet:F1} ms alone, {beside:F1} ms beside the flood, which got {answered} through and {refused} refusals");
        // Generous, because the machine is busy with other tests. Without a limit she would wait in the flood's queue.
        Assert.True(beside < (10 * quiet) + 100, $"{quiet} ms → {beside} ms");

        async Task<double> MedianAsync()
        {
            var times = new List<double>();
            for (var i = 0; i < 101; i++)
            {
                var start = TimeProvider.System.GetTimestamp();
                await hub.SendAsync(hers.Id, [1]);
                times.Add(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
            }

            return times.Order().ElementAt(50);
        }

        async Task CountAsync(Task call)
        {
            try
            {
                await call;
                Interlocked.Increment(ref answered);
            }
            catch (HubException)
            {
                Interlocked.Increment(ref refused);
            }
        }
    }

    [Fact]
    public async Task The_defaults_allow_a_household_and_counters_are_soon_removed()
    {
        await using var node = await server.DedicatedAsync(On);
        var people = await node.SignUpAsync(6);
        var room = await people[0].CreateRoomAsync(people[1..]);
        foreach (var person in people)
        {
            var connection = await person.ConnectAsync();
            for (var i = 0; i < 50; i++)
                await connection.SendAsync(room.Id, [1]);
            await person.SignInAsync();
        }

        var limits = node.Services.GetRequiredService<RateLimits>();
        Assert.Equal(6, limits.Sends.Count);
        node.Time.Advance(TimeSpan.FromHours(1));
        foreach (var limiter in new[] { limits.Sends, limits.Requests, limits.RequestsOfAddress, limits.SignUps, limits.SignIns, limits.Connects,
            limits.ConnectsOfAddress })
        {
            limiter.Sweep();
            Assert.Equal(0, limiter.Count);
        }
    }

    [Theory]
    [InlineData("--RateLimits:Sends:PerMinute=0")]
    [InlineData("--RateLimits:Sends:Burst=-1")]
    [InlineData("--RateLimits:SignUps:Burst=0")]
    [InlineData("--RateLimits:Claims:Burst=0")]
    [InlineData("--Server:KnownProxies:0=proxy.example.org")]
    public async Task An_invalid_rule_is_rejected_at_start(string setting) =>
        await Assert.ThrowsAnyAsync<Exception>(() => server.DedicatedAsync(setting));

    private static string[] Rule(string name, int burst, int perMinute) => [$"--RateLimits:{name}:Burst={burst}", $"--RateLimits:{name}:PerMinute={perMinute}"];

    private static SendRequest New(Room room) => new(room.Id, Guid.NewGuid(), [1]);

    private static object Input(Room room) => new { roomId = room.Id, clientMessageId = Guid.NewGuid(), ciphertext = "AQ==" };

    private static Task<HttpResponseMessage> PostAsync(TestUser user, Room room) =>
        user.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", New(room), Wire.Json);
}

public sealed class RateLimitTestsOnSqlite(SqliteServer server) : RateLimitTests(server);

public sealed class RateLimitTestsOnPostgres(PostgresServer server) : RateLimitTests(server);
