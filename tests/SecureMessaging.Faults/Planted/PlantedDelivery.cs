using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Faults.Planted;

/// <summary>Two bugs of the room delivery, put between the feed and the receivers that listen to it.</summary>
internal static class PlantedDelivery
{
    // Looked up at the start: a name that is no longer there must fail the proof, not the delivery.
    private static readonly FieldInfo Shards = Field(typeof(DeliveryShards), "shards");
    private static readonly FieldInfo Deliveries = Field(Shards.FieldType.GetElementType()!, "deliveries");

    private const int LoseOneIn = 25;

    public static void Replace(IServiceProvider services, string change)
    {
        RuntimeHelpers.RunClassConstructor(typeof(PlantedDelivery).TypeHandle);
        var shards = services.GetRequiredService<DeliveryShards>();
        var feed = services.GetRequiredService<CommitFeed>();
        var receivers = Receivers(feed);
        async ValueTask Next(CommittedEntries committed, WriteBatch? writes)
        {
            foreach (var receiver in receivers)
                await receiver(committed, writes);
        }

        var random = new Random(1);
        Receivers(feed) = [(committed, writes) =>
        {
            if (change == "delivery-ignores-roster")
                return Next(committed with { Entries = [.. committed.Entries.Select(Forget)] }, writes);
            // A batch gets lost; room delivery continues with the next one instead of filling the gap.
            if (random.Next(LoseOneIn) == 0)
                return ValueTask.CompletedTask;
            foreach (var room in Rooms(shards).Where(room => room.RoomId == committed.RoomId && room.Delivered < committed.Entries[0].Seq - 1))
                SetDelivered(room, committed.Entries[0].Seq - 1);
            return Next(committed, writes);
        }];
    }

    /// <summary>The entry without the user who left, so that room delivery cannot remove them.</summary>
    private static LogEntry Forget(LogEntry entry) => entry.Kind == EntryKind.MemberLeft ? entry with { UserId = null } : entry;

    private static IEnumerable<RoomDelivery> Rooms(DeliveryShards shards)
    {
        foreach (var shard in (Array)Shards.GetValue(shards)!)
        {
            var rooms = (IDictionary)Deliveries.GetValue(shard)!;
            foreach (var room in rooms.Values.Cast<RoomDelivery>().ToList())
                yield return room;
        }
    }

    private static FieldInfo Field(Type type, string name) =>
        type.GetField(name, BindingFlags.Instance | BindingFlags.NonPublic) ?? throw new MissingFieldException(type.Name, name);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "receivers")]
    private static extern ref Func<CommittedEntries, WriteBatch?, ValueTask>[] Receivers(CommitFeed feed);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_Delivered")]
    private static extern void SetDelivered(RoomDelivery room, long seq);
}
