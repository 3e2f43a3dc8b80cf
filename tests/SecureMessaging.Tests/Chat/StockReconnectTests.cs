using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>The official JavaScript client reconnects without extra code, because its <c>accessTokenFactory</c> may return a ticket.</summary>
[Trait("Ring", "Full")]
public abstract class StockReconnectTests(TestServer server)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task The_official_client_reconnects_by_itself_with_a_fresh_ticket_each_time()
    {
        await using var node = await server.DedicatedAsync();
        await using var anna = await node.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        using var client = Process.Start(new ProcessStartInfo("node", ["reconnect.js"])
        {
            WorkingDirectory = Repository.PathOf("tests", "web", "plain-client"),
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        try
        {
            await client.StandardInput.WriteLineAsync(
                JsonSerializer.Serialize(new { server = node.Url.ToString().TrimEnd('/'), token = anna.Tokens.AccessToken, roomId = room.Id }));
            await client.StandardInput.FlushAsync();
            Assert.Equal("seq 1", await ReadAsync(client));
            Assert.Equal("connected", await ReadAsync(client));
            for (var seq = 2; seq <= 3; seq++)
            {
                await node.StopAsync();
                await node.StartAsync();
                using var sent = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1]), Wire.Json);
                Assert.Equal(seq, (await sent.ReadAsync<SendAck>()).Seq);
                var lines = new[] { await ReadAsync(client), await ReadAsync(client) };
                Assert.Contains($"seq {seq}", lines);
                var tickets = int.Parse(lines.Single(line => line!.StartsWith("reconnected ", StringComparison.Ordinal))!.Split(' ')[1], null);
                Assert.True(tickets >= seq, $"{tickets}");
            }
        }
        finally
        {
            client.Kill();
            await client.WaitForExitAsync();
        }
    }

    private static async Task<string?> ReadAsync(Process client) => await client.StandardOutput.ReadLineAsync().WaitAsync(Patience);
}

public sealed class StockReconnectTestsOnSqlite(SqliteServer server) : StockReconnectTests(server);

public sealed class StockReconnectTestsOnPostgres(PostgresServer server) : StockReconnectTests(server);
