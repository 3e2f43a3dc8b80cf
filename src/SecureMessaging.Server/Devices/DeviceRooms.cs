using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>Changes a user's devices and tells the rooms whose MLS groups have to follow, in one transaction.</summary>
internal sealed class DeviceRooms(Database database, UserStore users, LogStore log, CommitFeed feed)
{
    private const string RoomsSql = $"""
        select r.id from rooms r join room_members m on m.room_id = r.id where m.user_id = @UserId and r.scheme = '{Schemes.Mls10}' order by r.id
        """;

    // Held until the end of the transaction, so that no commit of these rooms comes between.
    private const string PostgresLock = " for no key update of r";

    /// <summary>Runs the change under the locks of the user and of its MLS rooms. When it returns true beside its result, the rooms are told.</summary>
    /// <remarks>Locks are taken in the order user, rooms by id, everything else: as a commit and the erasure of an account do.</remarks>
    public async Task<T> ChangeAsync<T>(Guid userId, Func<DbTransaction, Task<(T Result, bool Tell)>> change, CancellationToken cancellationToken)
    {
        var told = new Dictionary<Guid, LogEntry>();
        T result;
        try
        {
            result = await database.WriteAsync(
                async transaction =>
                {
                    told.Clear();
                    if (await users.LockAsync(transaction, userId, cancellationToken) is null)
                        throw new ApiException(ErrorCode.Unauthenticated, "The account has been deleted.");
                    await LockRoomsAsync(transaction, userId, cancellationToken);
                    var (changed, tell) = await change(transaction);
                    // Read again: the user may have joined a room before the change took hold of the device, by a commit that still knew it as it was.
                    if (tell)
                    {
                        foreach (var roomId in await LockRoomsAsync(transaction, userId, cancellationToken))
                            told[roomId] = await log.AppendAsync(transaction, roomId, new(0, EntryKind.DevicesChanged, default, UserId: userId), cancellationToken);
                    }

                    return changed;
                },
                cancellationToken);
        }
        catch (Exception exception) when (exception is not ApiException { Code: not ErrorCode.Unavailable })
        {
            foreach (var roomId in told.Keys)
                feed.Doubt(roomId);
            throw;
        }

        foreach (var (roomId, entry) in told)
            await feed.PublishAsync(roomId, entry);
        return result;
    }

    private Task<List<Guid>> LockRoomsAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.QueryAsync<Guid>(database.IsPostgres ? RoomsSql + PostgresLock : RoomsSql, new { UserId = userId }, cancellationToken);
}
