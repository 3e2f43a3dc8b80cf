using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;

namespace SecureMessaging.Server.Chat;

/// <summary>Calls on clients that are serialised once for each protocol, however many connections they go to.</summary>
internal static class HubMessages
{
    public static SerializedHubMessage Create(string method, params object?[] arguments) => new(new InvocationMessage(method, arguments));
}
