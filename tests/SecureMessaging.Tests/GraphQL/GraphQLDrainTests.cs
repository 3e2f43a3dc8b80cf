using System.Net.Http.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>A stopping node asks GraphQL clients to move, as it asks hub clients.</summary>
[Trait("Ring", "Full")]
public sealed class GraphQLDrainTests
{
    [Fact]
    public async Task Draining_closes_GraphQL_sockets_with_a_reconnect_code_and_the_process_ends()
    {
        using var directory = new TestDirectory();
        await using var server = new ServerProcess(directory.Path, null, "--Drain:Stagger=00:00:01");
        await server.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(server.Url);
        await using var socket = await GraphQLTestSocket.ConnectAsync(server.Url, anna.Tokens.AccessToken);
        var subscription = await socket.SubscribeAsync(GraphQLSubscriptionTests.Rooms, new { after = Array.Empty<object>() });
        var room = await anna.CreateRoomAsync([]);
        await subscription.NextAsync();
        using (var sent = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1]), Wire.Json))
            sent.EnsureSuccessStatusCode();
        await subscription.NextAsync();
        server.Terminate();
        Assert.Equal(1012, await socket.ClosedAsync());
        await server.ExitedAsync();
        Assert.Equal(0, server.ExitCode);
    }
}
