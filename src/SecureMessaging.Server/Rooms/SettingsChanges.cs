using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Rooms;

/// <summary>Checks the settings of a room and changes them, in the caller's transaction and under the room's lock.</summary>
internal sealed class SettingsChanges(LogStore log, Limits limits)
{
    public void Require(RoomSettings settings)
    {
        if (settings.Name?.Length > limits.NameBytes)
            throw ApiException.TooLarge("name", limits.NameBytes);
        if (settings.TimeToLiveSeconds is { } ttl && (ttl < limits.TimeToLiveMinSeconds || ttl > limits.TimeToLiveMaxSeconds))
            throw ApiException.Invalid($"timeToLiveSeconds must be {limits.TimeToLiveMinSeconds} to {limits.TimeToLiveMaxSeconds}.", "timeToLiveSeconds");
    }

    public void Require(ChangeRoomRequest request) => Require(new RoomSettings(request.Name, request.TimeToLiveSeconds));

    /// <summary>Changes the settings for a caller of this role. The log gets them as a whole. Null: the request changes nothing.</summary>
    public async Task<LogEntry?> ApplyAsync(
        DbTransaction transaction, Guid roomId, RoomRole own, ChangeRoomRequest request, CancellationToken cancellationToken)
    {
        if (own < RoomRole.Admin)
            throw ApiException.Forbidden();
        if (request == new ChangeRoomRequest())
            return null;
        var settings = await RoomStore.ChangeSettingsAsync(transaction, roomId, request, cancellationToken);
        return await log.AppendAsync(transaction, roomId, new(0, EntryKind.SettingsChanged, default, Settings: settings), cancellationToken);
    }
}
