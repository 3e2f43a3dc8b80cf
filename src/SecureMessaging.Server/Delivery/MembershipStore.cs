using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Delivery;

/// <summary>One room of a user, and its log's head at the time of reading.</summary>
internal sealed record Membership
{
    public Guid UserId { get; init; }
    public Guid RoomId { get; init; }
    public long JoinedSeq { get; init; }
    public long LastSeq { get; init; }
}

/// <summary>Reads the rooms to which a connection must be subscribed.</summary>
internal sealed class MembershipStore(Database database)
{
    private const string Sql = "select m.user_id, m.room_id, m.joined_seq, r.last_seq from room_members m join rooms r on r.id = m.room_id where";

    private readonly CoalescedReads<Membership> ofUsers = new(database, Sql, "m.user_id", membership => membership.UserId);

    public Task<List<Membership>> ListAsync(Guid userId, CancellationToken cancellationToken) => ofUsers.ReadAsync(userId, cancellationToken);

    public Task<Membership?> FindAsync(Guid userId, Guid roomId, CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.QuerySingleAsync<Membership>(
                Sql + " m.user_id = @UserId and m.room_id = @RoomId", new { UserId = userId, RoomId = roomId }, cancellationToken),
            cancellationToken);
}
