using System.Threading.Channels;
using SecureMessaging.Server.Devices;

namespace SecureMessaging.Server.GraphQL;

/// <summary>What the caller's devices should look after, waiting for one subscription. Who is too slow keeps the newest: a device looks by itself when it connects.</summary>
internal sealed class NudgeFeed(SocketChatConnection connection) : IDisposable
{
    private const int MaxNudges = 64;

    private readonly Channel<DeviceNudge> nudges = Channel.CreateBounded<DeviceNudge>(new BoundedChannelOptions(MaxNudges) { FullMode = BoundedChannelFullMode.DropOldest });

    public void Offer(DeviceNudge nudge) => nudges.Writer.TryWrite(nudge);

    public IAsyncEnumerable<DeviceNudge> ReadAsync(CancellationToken cancellationToken) => nudges.Reader.ReadAllAsync(cancellationToken);

    public void Dispose() => connection.Remove(this);
}
