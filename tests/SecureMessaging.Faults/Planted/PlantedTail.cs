using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Messages;

namespace SecureMessaging.Faults.Planted;

/// <summary>Two bugs of a tail, put between the feed and the tails that listen to it.</summary>
internal static class PlantedTail
{
    private const int LoseOneIn = 25;

    public static void Replace(IServiceProvider services, string change)
    {
        var tails = services.GetRequiredService<RoomTails>();
        var feed = services.GetRequiredService<CommitFeed>();
        var receivers = Receivers(feed);
        async ValueTask Next(CommittedEntries committed)
        {
            foreach (var receiver in receivers)
                await receiver(committed);
        }

        var random = new Random(1);
        Receivers(feed) = [committed =>
        {
            if (change == "tail-ignores-roster")
                return Next(committed with { Entries = [.. committed.Entries.Select(Forget)] });
            // A batch is not heard of; the tail then goes on with the next one instead of filling the gap.
            if (random.Next(LoseOneIn) == 0)
                return ValueTask.CompletedTask;
            foreach (var tail in Tails(tails).Where(tail => tail.RoomId == committed.RoomId && tail.Delivered < committed.Entries[0].Seq - 1))
                SetDelivered(tail, committed.Entries[0].Seq - 1);
            return Next(committed);
        }];
    }

    /// <summary>The entry without that by which the tail knows who has left.</summary>
    private static LogEntry Forget(LogEntry entry) => entry.Kind == EntryKind.MemberLeft ? entry with { UserId = null } : entry;

    private static IEnumerable<RoomTail> Tails(RoomTails tails)
    {
        var shards = (Array)typeof(RoomTails).GetField("shards", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(tails)!;
        foreach (var shard in shards)
        {
            var rooms = (IDictionary)shard.GetType().GetField("tails", BindingFlags.Instance | BindingFlags.NonPublic)!.GetValue(shard)!;
            foreach (var tail in rooms.Values.Cast<RoomTail>().ToList())
                yield return tail;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "receivers")]
    private static extern ref Func<CommittedEntries, ValueTask>[] Receivers(CommitFeed feed);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_Delivered")]
    private static extern void SetDelivered(RoomTail tail, long seq);
}
