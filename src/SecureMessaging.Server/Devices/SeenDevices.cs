using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>
/// Notes on which day a device was last there, from whatever its session asks for first on that day. The sessions noted today are remembered, so that the
/// database hears of each once a day.
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
            // Not worth failing the request for: it is noted with a later one.
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
