using System.Net.WebSockets;
using System.Text;

namespace SecureMessaging.Tests.Harness;

/// <summary>A bare WebSocket to a hub after the JSON handshake, which reads only when the test reads.</summary>
internal static class StalledSocket
{
    public static async Task<ClientWebSocket> OpenAsync(TestUser user, Uri node, string hubPath, string? invocation = null)
    {
        // Small, so that the kernel does not buffer for it.
        var socket = await user.OpenWebSocketAsync(node, hubPath, options => options.SetBuffer(1024, 1024));
        await SayAsync("{\"protocol\":\"json\",\"version\":1}");
        if (invocation is not null)
            await SayAsync(invocation);
        return socket;

        Task SayAsync(string message) =>
            socket.SendAsync(Encoding.UTF8.GetBytes(message + "\u001e"), WebSocketMessageType.Text, true, CancellationToken.None);
    }
}
