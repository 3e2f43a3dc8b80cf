using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

/// <summary>Every door that checks a password: its cost for others, lock-outs, and how passwords are compared.</summary>
public abstract class PasswordDoorTests(TestServer server)
{
    private const string On = "--RateLimits:Enabled=true";
    private const string Soon = "--Auth:FailuresBeforeBackoff=3";
    private const string Wrong = "a wrong password";
    private static readonly string[] Doors =
    [
        "PATCH /v1/me", "POST /v1/me/password", "POST /v1/me/delete", "updateProfile", "changePassword", "deleteAccount",
    ];

    [Trait("Ring", "Full")]
    [Fact]
    public async Task A_flood_of_confirmations_by_one_account_blocks_no_other_sign_in()
    {
        await using var node = await server.DedicatedAsync("--Auth:HashQueue=16", "--Auth:FailuresBeforeBackoff=1000");
        await using var flooder = await node.SignUpAsync();
        var others = await node.SignUpAsync(10);
        using var stop = new CancellationTokenSource();
        var full = new TaskCompletionSource();
        var flood = Enumerable.Range(0, 60).Select(async i =>
        {
            while (!stop.IsCancellationRequested)
            {
                if (await ConfirmAsync(flooder, Doors[i % Doors.Length], Wrong) == ErrorCode.Overloaded)
                    full.TrySetResult();
            }
        }).ToList();
        await full.Task.WaitAsync(TimeSpan.FromSeconds(60));
        foreach (var other in others)
            await other.SignInAsync();
        await stop.CancelAsync();
        await Task.WhenAll(flood);
    }

    [Fact]
    public async Task Every_door_counts_password_hashes_per_account_and_per_address()
    {
        await using var node = await server.DedicatedAsync(
            [On, "--RateLimits:Hashes:Burst=6", "--RateLimits:Hashes:PerMinute=1", "--RateLimits:HashesOfAddress:Burst=14",
                "--RateLimits:HashesOfAddress:PerMinute=1"]);
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        foreach (var door in Doors)
            Assert.Equal(ErrorCode.Forbidden, await ConfirmAsync(anna, door, Wrong));
        foreach (var door in Doors)
            Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(anna, door, anna.Password));
        // Another account has its own count, until that of the address is used up: two sign-ups, six checks of anna, six of ben.
        foreach (var door in Doors)
            Assert.Equal(ErrorCode.Forbidden, await ConfirmAsync(ben, door, Wrong));
        await (await node.Http.SignInAsync(ben.Username, ben.Password)).ReadErrorAsync(429, ErrorCode.RateLimited);
        using var signUp = await node.Http.PostAsJsonAsync("/v1/auth/sign-up", TestPeople.NewSignUp(), Wire.Json);
        await signUp.ReadErrorAsync(429, ErrorCode.RateLimited);
        Assert.Equal(ErrorCode.RateLimited, await node.Http.RefusalAsync("mutation { signIn(username: \"unknown\", password: \"no password\") { userId } }"));
    }

    [Fact]
    public async Task Guesses_by_others_do_not_lock_out_the_owner()
    {
        await using var node = await server.DedicatedAsync("--Server:KnownProxies:0=127.0.0.1", Soon);
        await using var owner = await node.SignUpAsync();
        using var stranger = new HttpClient { BaseAddress = node.Url };
        stranger.DefaultRequestHeaders.Add("X-Forwarded-For", "203.0.113.5");
        string[] names = [owner.Username, owner.Email];
        // Alternates between both names, so that the next guess at either must wait.
        await GuessAsync(node, async () =>
        {
            foreach (var name in names)
                await (await stranger.SignInAsync(name, Wrong)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        });
        // Also with the right password: a guesser must not learn that it is right.
        foreach (var name in names)
            await (await stranger.SignInAsync(name, owner.Password)).ReadErrorAsync(429, ErrorCode.RateLimited);

        owner.Use(await (await owner.Http.RefreshAsync(owner.Tokens.RefreshToken)).ReadAsync<TokenResponse>());
        owner.Use(await owner.SignInAsync());
        using var email = await owner.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest($"New.{owner.Email}", owner.Password), Wire.Json);
        Assert.Equal(200, (int)email.StatusCode);
        using var password = await owner.Http.PostAsJsonAsync("/v1/me/password", new ChangePasswordRequest(owner.Password, "an entirely new one"), Wire.Json);
        Assert.Equal(204, (int)password.StatusCode);
        using var deleted = await owner.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest("an entirely new one"), Wire.Json);
        Assert.Equal(204, (int)deleted.StatusCode);
    }

    [Fact]
    public async Task Every_door_slows_guesses_of_one_session_and_not_of_another()
    {
        await using var node = await server.DedicatedAsync(Soon);
        await using var owner = await node.SignUpAsync();
        var stolen = owner.Tokens;
        var guesses = 0;
        await GuessAsync(node, async () => Assert.Equal(ErrorCode.Forbidden, await ConfirmAsync(owner, Doors[guesses++ % Doors.Length], Wrong)));
        foreach (var door in Doors)
            Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(owner, door, owner.Password));
        owner.Use(await owner.SignInAsync());
        Assert.Null(await ConfirmAsync(owner, "PATCH /v1/me", owner.Password));
        owner.Use(stolen);
        Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(owner, "PATCH /v1/me", owner.Password));
    }

    [Fact]
    public async Task New_email_addresses_count_per_account_and_as_sign_ups_of_the_IP_address()
    {
        await using var node = await server.DedicatedAsync([On, "--RateLimits:SignUps:Burst=9", "--RateLimits:SignUps:PerMinute=1"]);
        await using var taken = await node.SignUpAsync();
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        for (var i = 0; i < 5; i++)
            Assert.Equal(ErrorCode.Conflict, await ConfirmAsync(anna, i % 2 == 0 ? "PATCH /v1/me" : "updateProfile", anna.Password, taken.Email));
        Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(anna, "PATCH /v1/me", anna.Password, taken.Email));
        Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(anna, "updateProfile", anna.Password, taken.Email));
        // Three sign-ups and five changes are eight of nine.
        Assert.Null(await ConfirmAsync(ben, "PATCH /v1/me", ben.Password));
        Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(ben, "PATCH /v1/me", ben.Password));
    }

    /// <summary>Clients confirm the password so before they delete an account.</summary>
    [Fact]
    public async Task The_accounts_own_email_address_counts_only_as_a_password_check()
    {
        string[] limits =
        [
            "--RateLimits:EmailChanges:Burst=1", "--RateLimits:EmailChanges:PerMinute=0.1", "--RateLimits:SignUps:Burst=2", "--RateLimits:SignUps:PerMinute=1",
            "--RateLimits:Hashes:Burst=6", "--RateLimits:Hashes:PerMinute=1",
        ];
        await using var node = await server.DedicatedAsync([On, .. limits]);
        await using var anna = await node.SignUpAsync();
        foreach (var door in new[] { "PATCH /v1/me", "updateProfile", "PATCH /v1/me" })
            Assert.Null(await ConfirmAsync(anna, door, anna.Password, anna.Email));
        // The change to another address is the second of two sign-ups, and the only one of its kind.
        var next = $"x{Guid.NewGuid():N}@example.org";
        Assert.Null(await ConfirmAsync(anna, "PATCH /v1/me", anna.Password, next));
        Assert.Null(await ConfirmAsync(anna, "updateProfile", anna.Password, next));
        Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(anna, "PATCH /v1/me", anna.Password));
        // Each of the six has cost a password check.
        Assert.Equal(ErrorCode.RateLimited, await ConfirmAsync(anna, "PATCH /v1/me", anna.Password, next));
    }

    [Fact]
    public async Task A_taken_email_address_gets_the_same_answer_as_a_sign_up()
    {
        await using var taken = await server.SignUpAsync();
        await using var anna = await server.SignUpAsync();
        using var signUp = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", TestPeople.NewSignUp() with { Email = taken.Email }, Wire.Json);
        using var change = await anna.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest(taken.Email, anna.Password), Wire.Json);
        Assert.Equal(await signUp.ReadErrorAsync(409, ErrorCode.Conflict), await change.ReadErrorAsync(409, ErrorCode.Conflict));
    }

    [Theory]
    [InlineData("caf\u00e9 au lait", "cafe\u0301 au lait")]
    [InlineData("\u1e69 \u1e69 \u1e69 \u1e69 \u1e69 \u1e69", "s\u0307\u0323 s\u0323\u0307 \u1e61\u0323 \u1e63\u0307 \u1e69 \u1e69")]
    [InlineData(
        "\uac00\uac01\uac02\uac03\uac04\uac05\uac06\uac07\uac08\uac09", "\u1100\u1161\uac01\uac02\uac03\uac04\uac05\uac06\uac07\uac08\u1100\u1161\u11b0")]
    [InlineData("no break spaces", "no\u00a0break\u3000spaces")]
    [InlineData("\ud83d\udc4d\ud83c\udffd thumbs up", "\ud83d\udc4d\ud83c\udffd\u2003thumbs\u00a0up")]
    public async Task A_password_matches_in_every_Unicode_composition(string atSignUp, string atSignIn)
    {
        foreach (var (first, second) in new[] { (atSignUp, atSignIn), (atSignIn, atSignUp) })
        {
            var request = TestPeople.NewSignUp() with { Password = first };
            using var made = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json);
            await using var user = new TestUser(server.Url, request, await made.ReadAsync<TokenResponse>());
            using var signedIn = await server.Http.SignInAsync(request.Username, second);
            Assert.Equal(200, (int)signedIn.StatusCode);
            Assert.Null(await ConfirmAsync(user, "updateProfile", second));
            await (await server.Http.SignInAsync(request.Username, second + "\u0301")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        }
    }

    [Fact]
    public async Task Password_length_is_counted_in_the_normalised_form()
    {
        var good = TestPeople.NewSignUp();
        // Nine letters in either composition; then ten.
        foreach (var (password, status) in new[] { (string.Concat(Enumerable.Repeat("e\u0301", 9)), 400),
            (string.Concat(Enumerable.Repeat("e\u0301", 10)), 201) })
        {
            using var response = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", good with { Password = password }, Wire.Json);
            Assert.Equal(status, (int)response.StatusCode);
        }

        good = TestPeople.NewSignUp();
        using var longest = await server.Http.PostAsJsonAsync(
            "/v1/auth/sign-up", good with { Password = string.Concat(Enumerable.Repeat("e\u0301", 256)) }, Wire.Json);
        Assert.Equal(201, (int)longest.StatusCode);
    }

    [Fact]
    public async Task A_hash_from_before_normalisation_still_matches_and_is_renewed()
    {
        const string typed = "cafe\u0301 au lait, decomposed";
        await using var user = await server.SignUpAsync();
        var old = typeof(Server.Accounts.PasswordHasher).GetMethod("Derive", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static)!;
        var cost = Activator.CreateInstance(old.GetParameters()[1].ParameterType, 19_456, 2)!;
        var salt = new byte[16];
        var hash = (byte[])old.Invoke(null, [typed, cost, salt, 32])!;
        var stored = $"$argon2id$v=19$m=19456,t=2,p=1${Convert.ToBase64String(salt).TrimEnd('=')}${Convert.ToBase64String(hash).TrimEnd('=')}";
        await server.Database.ExecuteAsync("update users set password_hash = @stored where id = @Id", new { stored, user.Id }, CancellationToken.None);
        await (await server.Http.SignInAsync(user.Username, typed.Normalize())).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.Equal(200, (int)(await server.Http.SignInAsync(user.Username, typed)).StatusCode);
        Assert.Equal(200, (int)(await server.Http.SignInAsync(user.Username, typed.Normalize())).StatusCode);
    }

    [Fact]
    public async Task An_email_address_is_found_in_every_normal_form_and_with_a_punycode_domain()
    {
        var request = TestPeople.NewSignUp();
        var name = request.Username;
        request = request with { Email = $"Ren\u00e9.{name}@B\u00fccher.example" };
        using var made = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json);
        await made.ReadAsync<TokenResponse>();
        string[] same = [$"rene\u0301.{name}@bu\u0308cher.example", $"ren\u00e9.{name}@xn--bcher-kva.example", $"REN\u00c9.{name}@XN--BCHER-KVA.EXAMPLE"];
        foreach (var email in same)
        {
            using var signedIn = await server.Http.SignInAsync(email, request.Password);
            Assert.Equal(200, (int)signedIn.StatusCode);
            using var twice = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", TestPeople.NewSignUp() with { Email = email }, Wire.Json);
            await twice.ReadErrorAsync(409, ErrorCode.Conflict);
        }

        foreach (var email in new[] { $"{name}@a\u200bb.example", $"{name}@xn--a.example", $"{name}@\u0301a.example" })
        {
            using var refused = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", TestPeople.NewSignUp() with { Email = email }, Wire.Json);
            await refused.ReadErrorAsync(400, ErrorCode.Invalid);
        }
    }

    [Fact]
    public async Task An_email_address_hashed_before_normalisation_stays_taken_and_signs_in()
    {
        var cipher = server.Services.GetRequiredService<EmailCipher>();
        await using var owner = await server.SignUpAsync();
        var email = $"ren\u00e9.{owner.Username}@b\u00fccher.example";
        var old = new { owner.Id, hash = cipher.OldHash(email) };
        Assert.NotEqual(cipher.Hash(email), old.hash);
        await server.Database.ExecuteAsync("update users set email_hash = @hash where id = @Id", old, CancellationToken.None);
        using var signUp = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", TestPeople.NewSignUp() with { Email = email }, Wire.Json);
        await signUp.ReadErrorAsync(409, ErrorCode.Conflict);
        await using var other = await server.SignUpAsync();
        Assert.Equal(ErrorCode.Conflict, await ConfirmAsync(other, "PATCH /v1/me", other.Password, email));
        Assert.Equal(200, (int)(await server.Http.SignInAsync(email, owner.Password)).StatusCode);
        // The owner's own address gets the new form when it is set again.
        Assert.Null(await ConfirmAsync(owner, "PATCH /v1/me", owner.Password, email));
        Assert.Equal(200, (int)(await server.Http.SignInAsync($"ren\u00e9.{owner.Username}@xn--bcher-kva.example", owner.Password)).StatusCode);
    }

    /// <summary>Guesses until the next guess must wait for 64 s, independent of the machine's speed.</summary>
    private static async Task GuessAsync(TestServer node, Func<Task> guess)
    {
        for (var wait = 0.25; wait < 64; wait *= 2)
        {
            await guess();
            node.Time.Advance(TimeSpan.FromSeconds(wait));
        }

        await guess();
    }

    /// <summary>Calls a confirmed operation through one door. Null: it succeeded.</summary>
    private static async Task<ErrorCode?> ConfirmAsync(TestUser user, string door, string password, string? email = null)
    {
        email ??= $"x{Guid.NewGuid():N}@example.org";
        const string next = "the next password";
        if (!door.Contains('/', StringComparison.Ordinal))
        {
            var reply = await user.Http.ReplyAsync(
                door switch
                {
                    "updateProfile" => "mutation($p: String!, $e: String!) { updateProfile(password: $p, email: $e) { id } }",
                    "changePassword" => "mutation($p: String!, $e: String!) { changePassword(currentPassword: $p, newPassword: $e) }",
                    _ => "mutation($p: String!) { deleteAccount(password: $p) }",
                },
                door == "deleteAccount" ? new { p = password } : new { p = password, e = door == "changePassword" ? next : email });
            return reply.TryGetProperty("errors", out _) ? GraphQLCalls.CodeOf(reply) : null;
        }

        using var response = door switch
        {
            "PATCH /v1/me" => await user.Http.PatchAsJsonAsync("/v1/me", new UpdateProfileRequest(email, password), Wire.Json),
            "POST /v1/me/password" => await user.Http.PostAsJsonAsync("/v1/me/password", new ChangePasswordRequest(password, next), Wire.Json),
            _ => await user.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(password), Wire.Json),
        };
        if (response.IsSuccessStatusCode)
            return null;
        using var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return Enum.Parse<ErrorCode>(problem.RootElement.GetProperty("code").GetString()!);
    }
}

public sealed class PasswordDoorTestsOnSqlite(SqliteServer server) : PasswordDoorTests(server);

public sealed class PasswordDoorTestsOnPostgres(PostgresServer server) : PasswordDoorTests(server);
