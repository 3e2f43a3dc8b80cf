using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Encryption;

/// <summary>Changes a user's devices and appends an entry to each room whose MLS group must follow, in one transaction.</summary>
internal sealed class DeviceRooms(Database database, UserStore users, LogStore log, CommitFeed feed)
{
    private const string RoomsSql = $"""
        select r.id from rooms r join room_members m on m.room_id = r.id where m.user_id = @UserId and r.scheme = '{Schemes.Mls10}' order by r.id
        """;

    // Held until the end of the transaction, so that no commit of these rooms runs in between.
    private const string PostgresLock = " for no key update of r";

    /// <summary>Runs the change under the locks of the user and of its MLS rooms. If it returns true beside its result, each room gets an entry.</summary>
    /// <remarks>Lock order: user, rooms by id, everything else. Commits and the erasure of an account use the same order.</remarks>
    public async Task<T> ChangeAsync<T>(Guid userId, Func<DbTransaction, Task<(T Result, bool AffectsRooms)>> change, CancellationToken cancellationToken)
    {
        var appended = new Dictionary<Guid, LogEntry>();
        T result;
        try
        {
            result = await database.WriteAsync(
                async transaction =>
                {
                    appended.Clear();
                    if (await users.LockAsync(transaction, userId, cancellationToken) is null)
                        throw new ApiException(ErrorCode.Unauthenticated, "The account has been deleted.");
                    await LockRoomsAsync(transaction, userId, cancellationToken);
                    var (changed, affectsRooms) = await change(transaction);
                    // Read again: a commit that still used the old state may have added the user to a room since the first read.
                    if (affectsRooms)
                    {
                        foreach (var roomId in await LockRoomsAsync(transaction, userId, cancellationToken))
                            appended[roomId] = await log.AppendAsync(
                                transaction, roomId, new(0, EntryKind.DevicesChanged, default, UserId: userId), cancellationToken);
                    }

                    return changed;
                },
                cancellationToken);
        }
        catch (Exception exception) when (exception is not ApiException { Code: not ErrorCode.Unavailable })
        {
            foreach (var roomId in appended.Keys)
                feed.MarkStale(roomId);
            throw;
        }

        foreach (var (roomId, entry) in appended)
            await feed.PublishAsync(roomId, entry);
        return result;
    }

    private Task<List<Guid>> LockRoomsAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken) =>
        transaction.QueryAsync<Guid>(database.IsPostgres ? RoomsSql + PostgresLock : RoomsSql, new { UserId = userId }, cancellationToken);
}
