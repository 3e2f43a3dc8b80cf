using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Tests.Core;

public sealed class LockedRoomsTests
{
    private readonly LockedRooms rooms = new();

    [Fact]
    public void Parts_of_a_locked_room_wait_in_their_order_and_others_do_not()
    {
        var roomId = Guid.NewGuid();
        var (first, second, third, other) = (Part(roomId), Part(roomId), Part(roomId), Part(Guid.NewGuid()));
        rooms.Add(first);
        rooms.Add(second);
        Assert.True(rooms.TryWait(third));
        Assert.False(rooms.TryWait(other));
        Assert.Equal([first], rooms.Next(8));
        Assert.True(rooms.TryRelease(first, out var behind));
        Assert.Equal([second, third], behind);
        Assert.True(rooms.IsEmpty);
        Assert.False(rooms.TryWait(Part(roomId)));
    }

    [Fact]
    public void A_part_that_finds_its_room_locked_again_stays_first_and_counts_once()
    {
        var part = Part(Guid.NewGuid());
        rooms.Add(part);
        rooms.Add(part);
        Assert.Equal(1, rooms.CountOf(part.RoomId));
        Assert.Equal([part], rooms.Waiting());
    }

    [Fact]
    public void Each_room_has_its_turn()
    {
        var parts = Enumerable.Range(0, 5).Select(_ => Part(Guid.NewGuid())).ToList();
        parts.ForEach(rooms.Add);
        Assert.Equal(parts[..3], rooms.Next(3));
        Assert.Equal([parts[3], parts[4], parts[0]], rooms.Next(3));
        Assert.True(rooms.TryRelease(parts[1], out _));
        Assert.Equal([parts[2], parts[3], parts[4], parts[0]], rooms.Next(8));
    }

    private static SendPart Part(Guid roomId) => new SendGroup(
        [new Envelope(roomId, Guid.NewGuid(), Guid.NewGuid(), new byte[OwnerProof.Length], [1], 0, null)], 0, output: null).Parts[0];
}
