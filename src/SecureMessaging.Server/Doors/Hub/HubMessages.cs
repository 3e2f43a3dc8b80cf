using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>Calls to the hub's clients. A call to many connections is serialised once per hub protocol.</summary>
internal static class HubMessages
{
    public static SerializedHubMessage Create(string method, params object?[] arguments) => new(new InvocationMessage(method, arguments));

    public static SerializedHubMessage Of(DeliveryEvent happened) => happened.EncodeOnce(static happened => happened switch
    {
        EntryRun run => Create(nameof(IChatClient.Received), run.RoomId, run.Entries),
        SignalSent sent => Create(nameof(IChatClient.Signaled), sent.RoomId, sent.Signal),
        DeviceHinted { Hint: { Available: { } available } hint } => Create(nameof(IChatClient.KeyPackagesLow), hint.DeviceId, available),
        DeviceHinted { Hint: var hint } => Create(nameof(IChatClient.WelcomesWaiting), hint.DeviceId),
        SessionEnded ended => Create(nameof(IChatClient.SessionEnded), ended.Reason),
        _ => throw new InvalidOperationException($"The hub has no call for {happened.GetType().Name}."),
    });
}
