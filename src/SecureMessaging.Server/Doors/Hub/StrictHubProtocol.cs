using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>
/// A hub protocol that turns unreadable calls into calls of <see cref="ChatHub.Malformed"/>, which each hub has. SignalR itself would
/// answer them outside of all filters: uncounted and without a code of the catalogue.
/// </summary>
internal sealed class StrictHubProtocol(IHubProtocol inner) : IHubProtocol
{
    public string Name => inner.Name;

    public int Version => inner.Version;

    public TransferFormat TransferFormat => inner.TransferFormat;

    public bool TryParseMessage(ref ReadOnlySequence<byte> input, IInvocationBinder binder, [NotNullWhen(true)] out HubMessage? message)
    {
        var start = input;
        // The inner protocol skips a message of unknown type and returns false. Without the loop, later messages stay unread until more data arrives.
        for (var length = input.Length; !inner.TryParseMessage(ref input, binder, out message); length = input.Length)
        {
            if (input.Length == length)
                return false;
            start = input;
        }

        message = message switch
        {
            InvocationBindingFailureMessage failure =>
                Malformed(failure.InvocationId, HubCallFault.Find(failure, start.Slice(start.Start, input.Start), binder, TransferFormat)),
            StreamInvocationMessage stream => Malformed(stream.InvocationId, null),
            InvocationMessage call when call.Target == nameof(ChatHub.Malformed) || call.StreamIds is { Length: > 0 } => Malformed(call.InvocationId, null),
            _ => message,
        };
        return true;
    }

    private static InvocationMessage Malformed(string? invocationId, FieldError[]? errors) => new(invocationId, nameof(ChatHub.Malformed), [errors]);

    public void WriteMessage(HubMessage message, IBufferWriter<byte> output) => inner.WriteMessage(message, output);

    public ReadOnlyMemory<byte> GetMessageBytes(HubMessage message) => inner.GetMessageBytes(message);

    public bool IsVersionSupported(int version) => inner.IsVersionSupported(version);
}
