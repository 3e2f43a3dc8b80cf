using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>Ephemeral bytes from a member to the members who are connected now, on every node, stored nowhere.</summary>
internal sealed class Signals(LogStore log, RoomTails tails, NodeBus bus, Limits limits)
{
    public async Task SendAsync(Caller caller, Guid roomId, byte[] signal, CancellationToken cancellationToken)
    {
        if (signal is not { Length: > 0 })
            throw ApiException.Invalid("signal must not be empty.", "signal");
        if (signal.Length > limits.SignalBytes)
            throw ApiException.TooLarge("signal", limits.SignalBytes);
        await log.RequireMemberAsync(caller, roomId, cancellationToken);
        tails.Signal(roomId, signal);
        bus.PublishSignal(roomId, signal);
    }
}
