using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Cluster;

/// <summary>Sends ephemeral bytes of a member to the members who are connected now, on every node. They are not stored.</summary>
internal sealed class Signals(LogStore log, DeliveryShards shards, NodeBus bus, Limits limits)
{
    public async Task SendAsync(Caller caller, Guid roomId, byte[] signal, CancellationToken cancellationToken)
    {
        if (signal is not { Length: > 0 })
            throw ApiException.Invalid("signal must not be empty.", "signal");
        if (signal.Length > limits.SignalBytes)
            throw ApiException.TooLarge("signal", limits.SignalBytes);
        await log.RequireMemberAsync(caller, roomId, cancellationToken);
        shards.Signal(roomId, signal);
        bus.PublishSignal(roomId, signal);
    }
}
