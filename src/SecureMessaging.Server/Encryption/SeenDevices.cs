using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>
/// Stores the day on which a device was last seen, at the first request of its session on that day. Sessions seen today are kept in memory, so that each causes
/// one write a day.
/// </summary>
internal sealed class SeenDevices(DeviceStore devices, TimeProvider time)
{
    private readonly Lock gate = new();
    private readonly HashSet<Guid> today = [];
    private DateTime day;

    public async Task NoteAsync(HttpContext context)
    {
        if (context.User.Identity?.IsAuthenticated != true)
            return;
        var sessionId = Caller.From(context.User).SessionId;
        if (!IsNew(sessionId))
            return;
        try
        {
            await devices.SeenAsync(sessionId, context.RequestAborted);
        }
        catch (ApiException exception) when (exception.Code == ErrorCode.Unavailable)
        {
            // The request continues. A later one stores the day.
            Forget(sessionId);
        }
    }

    private bool IsNew(Guid sessionId)
    {
        var now = time.Now().ToDay();
        lock (gate)
        {
            if (now != day)
            {
                today.Clear();
                day = now;
            }

            return today.Add(sessionId);
        }
    }

    private void Forget(Guid sessionId)
    {
        lock (gate)
            today.Remove(sessionId);
    }
}
