using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Keys;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>Encrypted columns: their length tells nothing, and rows of earlier versions, without padding, can be read.</summary>
public abstract class PaddingTests(TestServer server)
{
    [Fact]
    public async Task Encrypted_columns_have_the_same_length_for_short_and_long_values()
    {
        await using var anna = await server.SignUpAsync("a" + Guid.NewGuid().ToString("N")[..4]);
        await using var ben = await server.SignUpAsync("b" + Guid.NewGuid().ToString("N")[..30]);
        await SubscribeAsync(anna, "https://p.example.org/1");
        await SubscribeAsync(ben, "https://push.example.org/" + new string('x', 400));
        var ids = new { Anna = anna.Id, Ben = ben.Id };
        Assert.Equal([540, 540], await server.RowsAsync<int>("select length(email) from users where id in (@Anna, @Ben)", ids));
        Assert.Equal([540, 540], await server.RowsAsync<int>("select length(push_endpoint) from sessions where user_id in (@Anna, @Ben)", ids));
        Assert.Equal((anna.Email, ben.Email), (await EmailAsync(anna), await EmailAsync(ben)));
    }

    [Fact]
    public async Task Values_of_earlier_versions_can_be_read()
    {
        await using var anna = await server.SignUpAsync();
        var key = server.Services.GetRequiredService<ServerSecret>().DeriveKey("email");
        // The second one is as long as a padded value.
        foreach (var email in new[] { anna.Email, new string('a', RowCipher.PaddedBytes) })
        {
            var (plain, old) = (Encoding.UTF8.GetBytes(email), new byte[28 + email.Length]);
            RandomNumberGenerator.Fill(old.AsSpan(0, 12));
            using (var aes = new AesGcm(key, 16))
                aes.Encrypt(old.AsSpan(0, 12), plain, old.AsSpan(28), old.AsSpan(12, 16), anna.Id.ToByteArray(bigEndian: true));
            await server.Database.ExecuteAsync("update users set email = @old where id = @Id", new { old, anna.Id }, CancellationToken.None);
            Assert.Equal(email, await EmailAsync(anna));
        }
    }

    private static async Task SubscribeAsync(TestUser user, string endpoint)
    {
        using var push = await user.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest(endpoint), Wire.Json);
        push.EnsureSuccessStatusCode();
    }

    private static async Task<string> EmailAsync(TestUser user) => (await user.Http.GetFromJsonAsync<Profile>("/v1/me", Wire.Json))!.Email;
}

public sealed class PaddingTestsOnSqlite(SqliteServer server) : PaddingTests(server);

public sealed class PaddingTestsOnPostgres(PostgresServer server) : PaddingTests(server);
