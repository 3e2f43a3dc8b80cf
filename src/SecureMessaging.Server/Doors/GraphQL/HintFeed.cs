using System.Threading.Channels;
using SecureMessaging.Server.Encryption;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Buffers device hints for one subscription. When it is full, the oldest hint is dropped: a device also checks when it connects.</summary>
internal sealed class HintFeed(SocketSubscriber connection) : IDisposable
{
    private const int MaxHints = 64;

    private readonly Channel<DeviceHint> hints = Channel.CreateBounded<DeviceHint>(
        new BoundedChannelOptions(MaxHints) { FullMode = BoundedChannelFullMode.DropOldest });

    public void Offer(DeviceHint hint) => hints.Writer.TryWrite(hint);

    public IAsyncEnumerable<DeviceHint> ReadAsync(CancellationToken cancellationToken) => hints.Reader.ReadAllAsync(cancellationToken);

    public void Dispose() => connection.Remove(this);
}
