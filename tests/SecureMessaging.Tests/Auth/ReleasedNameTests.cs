using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Retention;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

public abstract class ReleasedNameTests(TestServer shared)
{
    [Fact]
    public async Task The_name_of_a_deleted_account_is_reserved_for_a_year()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        (await anna.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(anna.Password), Wire.Json)).EnsureSuccessStatusCode();
        var taken = await SignUpAsync(ben.Username);
        var reserved = await SignUpAsync(anna.Username);
        Assert.Equal(taken, reserved);
        Assert.Equal(taken, await SignUpAsync(anna.Username.ToUpperInvariant()));
        Assert.Equal(2, await server.ScalarAsync<long>("select count(*) from users") + await server.ScalarAsync<long>("select count(*) from released_names"));

        server.Time.Advance(TimeSpan.FromDays(364));
        await PurgeAsync();
        Assert.Equal(taken, await SignUpAsync(anna.Username));
        server.Time.Advance(TimeSpan.FromDays(2));
        await PurgeAsync();
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from released_names"));
        await using var successor = await server.SignUpAsync(anna.Username);
        Assert.NotEqual(anna.Id, successor.Id);

        Task PurgeAsync() => server.Services.GetRequiredService<RetentionService>().RunOnceAsync(CancellationToken.None);

        async Task<string> SignUpAsync(string username)
        {
            var request = TestPeople.NewSignUp(username) with { Email = "new@example.org" };
            using var response = await server.Http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json);
            return (await response.ReadErrorAsync(409, ErrorCode.Conflict)).Message;
        }
    }

    [Fact]
    public async Task A_sign_up_that_waits_for_a_deletion_does_not_get_the_name()
    {
        for (var round = 0; round < 5; round++)
        {
            await using var anna = await shared.SignUpAsync();
            using var stop = new CancellationTokenSource();
            var attempts = Task.Run(
                async () =>
                {
                    var statuses = new HashSet<int>();
                    while (!stop.IsCancellationRequested)
                    {
                        var request = TestPeople.NewSignUp(anna.Username) with { Email = $"{Guid.NewGuid():N}@example.org" };
                        using var response = await shared.Http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json);
                        statuses.Add((int)response.StatusCode);
                    }

                    return statuses;
                });
            (await anna.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(anna.Password), Wire.Json)).EnsureSuccessStatusCode();
            await Task.Delay(50);
            await stop.CancelAsync();
            Assert.Equal([409], await attempts);
        }
    }
}

public sealed class ReleasedNameTestsOnSqlite(SqliteServer server) : ReleasedNameTests(server);

public sealed class ReleasedNameTestsOnPostgres(PostgresServer server) : ReleasedNameTests(server);
