using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.GraphQL;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Core;

/// <summary>A GraphQL stream of entries whose feed is behind the log.</summary>
public sealed class EntryStreamTests(SqliteServer shared)
{
    /// <summary>The log is read in the third membership, and the feed still has the entries of the first two.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_member_that_left_and_joined_again_gets_the_entries_of_each_membership_once_and_in_order(bool isMemberAtTheEnd)
    {
        await using var server = await shared.DedicatedAsync();
        await using var owner = await server.SignUpAsync();
        await using var guest = await server.SignUpAsync();
        var room = await owner.CreateRoomAsync([]);
        var writer = await owner.ConnectAsync();
        var connection = new SocketSubscriber(null!, new Caller(guest.Id, Guid.NewGuid()), server.Services.GetRequiredService<ServerMetrics>());
        using var stream = new EntryStream(
            new Caller(guest.Id, Guid.NewGuid()), server.Services.GetRequiredService<LogStore>(), connection.Feed(null, FeedKind.Entries));
        for (var membership = 0; membership < 3; membership++)
        {
            await owner.AddMemberAsync(room.Id, guest);
            await writer.SendAsync(room.Id, [1]);
            if (membership < 2 || !isMemberAtTheEnd)
                await owner.RemoveMemberAsync(room.Id, guest);
            await writer.SendAsync(room.Id, [2]);
        }

        var log = await writer.ReadLogAsync(room.Id);
        var expected = log.SeqsWithin(guest);
        foreach (var entry in log.Where(entry => expected.Contains(entry.Seq)))
        {
            var own = entry.UserId == guest.Id;
            if (own && entry.Kind == EntryKind.MemberJoined)
                connection.SendRoomChanged(room.Id, RoomChange.Joined, entry.Seq, null);
            connection.SendEntries(new EntryRun(room.Id, [entry], 1), null);
            if (own && entry.Kind == EntryKind.MemberLeft)
                connection.SendRoomChanged(room.Id, RoomChange.Left, entry.Seq, null);
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(20));
        var received = new List<long>();
        await foreach (var run in stream.RoomsAsync([], patience.Token))
        {
            received.AddRange(run.Entries.Select(entry => entry.Seq));
            if (received.Count >= expected.Count)
                break;
        }

        Assert.Equal(expected, received);
    }
}
