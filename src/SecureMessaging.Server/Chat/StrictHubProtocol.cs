using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;

namespace SecureMessaging.Server.Chat;

/// <summary>
/// A hub protocol whose unreadable calls reach the hub as calls of <see cref="ChatHub.Malformed"/>: SignalR answers them by itself otherwise, out of reach
/// of filters, uncounted and without a code of the catalogue.
/// </summary>
internal sealed class StrictHubProtocol(IHubProtocol inner) : IHubProtocol
{
    public string Name => inner.Name;

    public int Version => inner.Version;

    public TransferFormat TransferFormat => inner.TransferFormat;

    public bool TryParseMessage(ref ReadOnlySequence<byte> input, IInvocationBinder binder, [NotNullWhen(true)] out HubMessage? message)
    {
        // A message of an unknown type is skipped as "no message", which would leave those behind it unread until more data comes.
        for (var length = input.Length; !inner.TryParseMessage(ref input, binder, out message); length = input.Length)
        {
            if (input.Length == length)
                return false;
        }

        message = message switch
        {
            InvocationBindingFailureMessage failure => new InvocationMessage(failure.InvocationId, nameof(ChatHub.Malformed), []),
            StreamInvocationMessage stream => new InvocationMessage(stream.InvocationId, nameof(ChatHub.Malformed), []),
            InvocationMessage call when call.Target == nameof(ChatHub.Malformed) || call.StreamIds is { Length: > 0 } => new InvocationMessage(call.InvocationId, nameof(ChatHub.Malformed), []),
            _ => message,
        };
        return true;
    }

    public void WriteMessage(HubMessage message, IBufferWriter<byte> output) => inner.WriteMessage(message, output);

    public ReadOnlyMemory<byte> GetMessageBytes(HubMessage message) => inner.GetMessageBytes(message);

    public bool IsVersionSupported(int version) => inner.IsVersionSupported(version);
}
