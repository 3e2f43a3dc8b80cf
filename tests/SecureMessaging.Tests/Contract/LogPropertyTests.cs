using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract;

/// <summary>The properties of the lines that a server really writes. The inventory declares each of them.</summary>
[Trait("Ring", "Full")]
public sealed class LogPropertyTests(SqliteServer shared)
{
    /// <summary>Properties that no line of the server's own names.</summary>
    internal static readonly string[] OfLibraries = ["ContentRoot", "EnvName", "EventId", "SourceContext", "address", "span", "trace"];

    /// <summary>Fields of the format, and the names under which the inventory declares those with data.</summary>
    private static readonly Dictionary<string, string?> Format = new()
    {
        ["@t"] = null,
        ["@m"] = null,
        ["@i"] = null,
        ["@l"] = null,
        ["@x"] = null,
        ["@tr"] = "trace",
        ["@sp"] = "span",
    };

    [Fact]
    public async Task Every_property_of_every_written_line_is_declared()
    {
        await using var server = await shared.DedicatedAsync();
        await using (var anna = await server.SignUpAsync())
        {
            var room = await anna.CreateRoomAsync([]);
            await (await anna.ConnectAsync()).SendAsync(room.Id, [1, 2, 3]);
            await FailInManyWaysAsync(server, anna);
        }

        await server.RestartAsync();
        await server.StopAsync();
        var names = server.Logs.SelectMany(line => JsonDocument.Parse(line).RootElement.EnumerateObject().Select(property => property.Name))
            .Select(name => Format.GetValueOrDefault(name, name)).OfType<string>().ToHashSet();
        Assert.Superset(new HashSet<string> { "Node", "Version", "SourceContext", "EventId" }, names);
        Assert.Empty(names.Except(Inventory.Declared.LogProperties.Keys));
    }

    [Fact]
    public async Task Bad_tickets_and_tokens_write_a_bounded_number_of_lines()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var before = server.Logs.Count;
        for (var i = 0; i < 10; i++)
            await FailInManyWaysAsync(server, anna);
        var lines = server.Logs.Skip(before).GroupBy(line => JsonDocument.Parse(line).RootElement.GetProperty("@m").GetString()).ToList();
        Assert.All(lines, alike => Assert.True(alike.Count() == 1, alike.Key));
        Assert.InRange(lines.Count, 0, 10);
    }

    private static async Task FailInManyWaysAsync(TestServer server, TestUser anna)
    {
        foreach (var path in new[] { $"{Wire.HubPath}?ticket=bad", Wire.HubPath })
        {
            using var socket = new ClientWebSocket();
            await Assert.ThrowsAsync<WebSocketException>(
                () => socket.ConnectAsync(new Uri($"ws://127.0.0.1:{server.Url.Port}{path}"), CancellationToken.None));
        }

        using var http = new HttpClient { BaseAddress = server.Url };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", anna.Tokens.AccessToken[..^8] + "AAAAAAAA");
        Assert.Equal(401, (int)(await http.GetAsync("/v1/me")).StatusCode);
        http.DefaultRequestHeaders.Authorization = null;
        foreach (var path in new[] { "/v1/me", "/v1/unknown", "/v1/rooms/not-an-id" })
            Assert.InRange((int)(await http.GetAsync(path)).StatusCode, 400, 499);
        foreach (var path in new[] { "/v1/auth/token", "/v1/auth/refresh", "/graphql" })
            Assert.InRange((int)(await http.PostAsync(path, JsonContent.Create("not an object"))).StatusCode, 400, 499);
    }
}
