using System.Net.WebSockets;
using System.Text;

namespace SecureMessaging.Tests.Harness;

/// <summary>A bare WebSocket to a hub, which has shaken hands in JSON and reads nothing unless the test does.</summary>
internal static class StalledSocket
{
    public static async Task<ClientWebSocket> OpenAsync(TestUser user, Uri node, string hubPath, string? invocation = null)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", "Bearer " + user.Tokens.AccessToken);
        // Small, so that the kernel does not read for it.
        socket.Options.SetBuffer(1024, 1024);
        await socket.ConnectAsync(new UriBuilder(node) { Scheme = "ws", Path = hubPath }.Uri, CancellationToken.None);
        await SayAsync("{\"protocol\":\"json\",\"version\":1}");
        if (invocation is not null)
            await SayAsync(invocation);
        return socket;

        Task SayAsync(string message) =>
            socket.SendAsync(Encoding.UTF8.GetBytes(message + "\u001e"), WebSocketMessageType.Text, true, CancellationToken.None);
    }
}
