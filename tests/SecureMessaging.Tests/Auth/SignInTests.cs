using System.Net.Http.Json;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

public abstract class SignInTests(TestServer server)
{
    [Fact]
    public async Task An_account_signs_up_signs_in_renews_and_signs_out()
    {
        var request = TestPeople.NewSignUp();
        using var created = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", request with { Username = request.Username.ToUpperInvariant() }, Wire.Json);
        Assert.Equal(201, (int)created.StatusCode);
        Assert.Equal("no-store", created.Headers.CacheControl?.ToString());
        var first = await created.ReadAsync<TokenResponse>();
        Assert.Equal(request.Username, first.Username);
        Assert.Equal(600, first.ExpiresIn);

        foreach (var name in new[] { request.Username, request.Username.ToUpperInvariant(), request.Email, request.Email.ToUpperInvariant() })
        {
            using var signedIn = await server.Http.SignInAsync(name, request.Password);
            Assert.Equal(first.UserId, (await signedIn.ReadAsync<TokenResponse>()).UserId);
        }

        using var renewed = await server.Http.RefreshAsync(first.RefreshToken);
        var second = await renewed.ReadAsync<TokenResponse>();
        Assert.Equal((first.UserId, first.SessionId, first.SessionExpiresAt), (second.UserId, second.SessionId, second.SessionExpiresAt));
        Assert.NotEqual(first.RefreshToken, second.RefreshToken);
        Assert.Equal(200, await server.Http.ProbeAsync(second.AccessToken));

        using var out1 = await server.Http.SendAsync(HttpMethod.Post, "/v1/auth/logout", second.AccessToken);
        Assert.Equal(204, (int)out1.StatusCode);
        Assert.Equal(401, await server.Http.ProbeAsync(first.AccessToken));
        Assert.Equal(401, await server.Http.ProbeAsync(second.AccessToken));
        await (await server.Http.RefreshAsync(second.RefreshToken)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task Logging_out_everywhere_ends_all_sessions_of_this_account_only()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var other = await anna.SignInAsync();
        using var response = await server.Http.SendAsync(HttpMethod.Post, "/v1/auth/logout-everywhere", other.AccessToken);
        Assert.Equal(204, (int)response.StatusCode);
        Assert.Equal(401, await server.Http.ProbeAsync(anna.Tokens.AccessToken));
        Assert.Equal(401, await server.Http.ProbeAsync(other.AccessToken));
        Assert.Equal(200, await server.Http.ProbeAsync(ben.Tokens.AccessToken));
    }

    [Theory]
    [InlineData("ab", null, null)]
    [InlineData("a234567890123456789012345678901234", null, null)]
    [InlineData("has space", null, null)]
    [InlineData("nul\0nul", null, null)]
    [InlineData("K\u212Alvin", null, null)]
    [InlineData("\u0430nna", null, null)]
    [InlineData(null, "unknown", null)]
    [InlineData(null, "a@b", null)]
    [InlineData(null, "@b.org", null)]
    [InlineData(null, "a@", null)]
    [InlineData(null, "a@b..org", null)]
    [InlineData(null, "a@-b.org", null)]
    [InlineData(null, "a\0@b.org", null)]
    [InlineData(null, "a@b.org\r\nBcc: c@d.org", null)]
    [InlineData(null, "a b@c.org", null)]
    [InlineData(null, null, "123456789")]
    [InlineData(null, null, "a password with a \0 in it")]
    public async Task An_invalid_sign_up_is_rejected(string? username, string? email, string? password)
    {
        var good = TestPeople.NewSignUp();
        var bad = new SignUpRequest(username ?? good.Username, email ?? good.Email, password ?? good.Password);
        using var response = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", bad, Wire.Json);
        await response.ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task Values_of_the_maximum_length_are_accepted_and_longer_ones_rejected()
    {
        var good = TestPeople.NewSignUp();
        var username = good.Username.PadRight(32, 'x');
        var email = $"{username}@{string.Join('.', Enumerable.Repeat(new string('d', 30), 7))}.org";
        var longest = new SignUpRequest(username, email, new string('p', 256));
        using var taken = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", longest, Wire.Json);
        Assert.Equal(201, (int)taken.StatusCode);
        foreach (var over in new[] { longest with { Username = username + "x" },
            longest with { Email = email.Replace(".org", ".organic", StringComparison.Ordinal) }, longest with { Password = new string('p', 257) } })
            await (await server.Http.PostAsJsonAsync("/v1/auth/sign-up", over, Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"username":null,"password":null}""")]
    [InlineData("""{"username":5,"password":"a password"}""")]
    [InlineData("""{"username":"anna","username":"ben","password":"a password"}""")]
    public async Task A_body_that_violates_the_contract_is_rejected(string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await server.Http.PostAsync("/v1/auth/token", content);
        await response.ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task A_huge_body_is_rejected()
    {
        using var content = new StringContent($$"""{"username":"{{new string('x', 64 * 1024)}}","password":"x"}""", Encoding.UTF8, "application/json");
        using var response = await server.Http.PostAsync("/v1/auth/token", content);
        await response.ReadErrorAsync(413, ErrorCode.TooLarge);
    }

    [Fact]
    public async Task A_taken_name_or_email_address_is_rejected_without_revealing_which()
    {
        var taken = TestPeople.NewSignUp();
        using var first = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", taken, Wire.Json);
        Assert.Equal(201, (int)first.StatusCode);
        var fresh = TestPeople.NewSignUp();
        var byName = await (await server.Http.PostAsJsonAsync("/v1/auth/sign-up", fresh with { Username = taken.Username }, Wire.Json))
            .ReadErrorAsync(409, ErrorCode.Conflict);
        var byEmail = await (await server.Http.PostAsJsonAsync("/v1/auth/sign-up", fresh with { Email = taken.Email.ToUpperInvariant() }, Wire.Json))
            .ReadErrorAsync(409, ErrorCode.Conflict);
        Assert.Equal(byName, byEmail);
    }

    [Fact]
    public async Task Of_many_simultaneous_sign_ups_with_one_name_one_succeeds()
    {
        var request = TestPeople.NewSignUp();
        var statuses = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            using var response = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json);
            return (int)response.StatusCode;
        }));
        Assert.Single(statuses, 201);
        Assert.Equal(19, statuses.Count(status => status == 409));
    }

    [Fact]
    public async Task An_unknown_a_wrong_and_a_disabled_sign_in_look_the_same()
    {
        await using var known = await server.SignUpAsync();
        await using var disabled = await server.SignUpAsync();
        await server.ScalarAsync<long?>("update users set disabled = true where id = @Id", new { disabled.Id });
        var replies = new List<string>();
        foreach (var (name, password) in new[]
        {
            (known.Username, "a wrong password"), (known.Email, "a wrong password"), ("unknown-name", "a wrong password"),
            ("unknown@example.org", "a wrong password"), ("not a possible name", "a wrong password"), (disabled.Username, disabled.Password),
        })
        {
            using var response = await server.Http.SignInAsync(name, password);
            var headers = string.Join(
                '\n', response.Headers.Where(header => header.Key != "Date").Select(header => $"{header.Key}: {string.Join(',', header.Value)}"));
            replies.Add($"{(int)response.StatusCode}\n{headers}\n{await response.Content.ReadAsStringAsync()}");
        }

        Assert.StartsWith("401", replies[0], StringComparison.Ordinal);
        Assert.Single(replies.Distinct());
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task The_time_of_a_failed_sign_in_does_not_reveal_whether_the_account_exists()
    {
        const int samples = 100;
        await using var own = await server.DedicatedAsync("--Auth:FailuresBeforeBackoff=1000", "--Auth:HashPasses=2");
        await using var user = await own.SignUpAsync();
        var (known, unknown) = (new List<double>(), new List<double>());
        for (var i = 0; i < samples + 10; i++)
        {
            // Interleaved, so that other load of the machine affects both alike. The first ones warm up.
            foreach (var (name, times) in i % 2 == 0 ? new[] { (user.Username, known), ("unknown", unknown) } : [("unknown", unknown), (user.Username, known)])
            {
                var start = System.Diagnostics.Stopwatch.GetTimestamp();
                using var response = await own.Http.SignInAsync(name, "a wrong password");
                if (i >= 10)
                    times.Add(System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        // Mann-Whitney: |z| above 4 occurs by chance once in 16,000 runs.
        var wins = known.Sum(k => unknown.Count(u => u < k));
        var z = (wins - (samples * samples / 2.0)) / Math.Sqrt(samples * samples * ((2.0 * samples) + 1) / 12);
        Assert.InRange(z, -4, 4);
    }

    [Fact]
    public async Task Guesses_are_slowed_for_known_and_unknown_names_until_the_backoff_ends()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        foreach (var name in new[] { user.Username, "unknown" })
        {
            for (var i = 0; i < 10; i++)
                await (await own.Http.SignInAsync(name, "a wrong password")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
            var error = await (await own.Http.SignInAsync(name, user.Password)).ReadErrorAsync(429, ErrorCode.RateLimited);
            Assert.InRange(error.RetryAfterMs!.Value, 1, 1000);
        }

        own.Time.Advance(TimeSpan.FromSeconds(2));
        using var response = await own.Http.SignInAsync(user.Username, user.Password);
        Assert.Equal(200, (int)response.StatusCode);
    }

    [Fact]
    public async Task Parallel_guesses_are_slowed_like_sequential_ones()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var statuses = await Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
        {
            using var response = await own.Http.SignInAsync(user.Username, $"a wrong password {i}");
            return (int)response.StatusCode;
        }));
        Assert.Equal((10, 30), (statuses.Count(status => status == 401), statuses.Count(status => status == 429)));
        own.Time.Advance(TimeSpan.FromSeconds(2));
        using var signedIn = await own.Http.SignInAsync(user.Username, user.Password);
        Assert.Equal(200, (int)signedIn.StatusCode);
    }

    [Fact]
    public async Task A_hash_with_a_lower_cost_is_renewed_at_sign_in()
    {
        await using var own = await server.DedicatedAsync("--Auth:HashPasses=3");
        await using var user = await own.SignUpAsync();
        // The same password as a server with a lower cost would have stored it.
        await using var weaker = await server.SignUpAsync();
        var weak = await server.ScalarAsync<string>("select password_hash from users where id = @Id", new { weaker.Id });
        await own.ScalarAsync<long?>("update users set password_hash = @weak where id = @Id", new { weak, user.Id });
        using var response = await own.Http.SignInAsync(user.Username, weaker.Password);
        Assert.Equal(200, (int)response.StatusCode);
        Assert.StartsWith("$argon2id$v=19$m=19456,t=3,p=1$", await own.ScalarAsync<string>(
            "select password_hash from users where id = @Id", new { user.Id }), StringComparison.Ordinal);
        using var again = await own.Http.SignInAsync(user.Username, weaker.Password);
        Assert.Equal(200, (int)again.StatusCode);
    }
}

public sealed class SignInTestsOnSqlite(SqliteServer server) : SignInTests(server);

public sealed class SignInTestsOnPostgres(PostgresServer server) : SignInTests(server);
