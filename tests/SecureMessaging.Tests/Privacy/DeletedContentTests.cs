using System.Buffers.Binary;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Retention;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>What deleted content leaves in the files of the embedded database.</summary>
/// <remarks>Each message repeats its own eight random bytes, so that the search also finds a part of it.</remarks>
[Trait("Ring", "Full")]
public sealed class DeletedContentTests(SqliteServer shared, ITestOutputHelper output)
{
    private const int Messages = 10_000;
    private const int Waves = 5;
    private const int RedactedInAWave = 200;

    // Two runs of the retention job.
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    private enum Fate
    {
        Kept,
        Redacted,
        InDeletedRoom,
        OfErasedAccount,
        Expiring,
        Expired,
    }

    [Fact]
    public async Task No_byte_of_deleted_messages_stays_in_the_files_and_all_others_can_be_read()
    {
        output.WriteLine($"SECUREMESSAGING_TEST_SEED={Seed.Value}");
        var random = Seed.For(nameof(DeletedContentTests));
        await using var server = await shared.DedicatedAsync("--Auth:AccessTokenLifetime=01:00:00");
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await using var carla = await server.SignUpAsync();
        (TestUser User, TestConnection Hub)[] people =
            [(anna, await anna.ConnectAsync(true)), (ben, await ben.ConnectAsync(true)), (carla, await carla.ConnectAsync(true))];
        var rooms = new[]
        {
            await anna.CreateRoomAsync([ben, carla]),
            await anna.CreateRoomAsync([ben, carla], visible: true),
            await anna.CreateRoomAsync([ben, carla]),
        };
        var deletedRoom = rooms[2].Id;
        var sent = new List<Message>();
        for (var wave = 0; wave < Waves; wave++)
        {
            while (sent.Count < Messages / Waves * (wave + 1))
            {
                var (user, hub) = people[random.Next(10) switch { < 5 => 0, < 9 => 1, _ => 2 }];
                await SendAsync(hub, user, sent);
            }

            Assert.NotEmpty(Search(server, sent));
            var candidates = sent.Where(message => message.Fate == Fate.Kept).ToArray();
            random.Shuffle(candidates);
            foreach (var message in candidates.Take(RedactedInAWave))
            {
                await people.Single(person => person.User == message.Sender).Hub.RetractAsync(message.RoomId, message.Seq);
                message.Fate = Fate.Redacted;
            }

            // Only the last search below waits for the job itself.
            server.Time.Advance(Bound);
            await server.Services.GetRequiredService<RetentionService>().RunOnceAsync(CancellationToken.None);
            AssertOnlyKept(server, sent);
            // From now on: they have expired by now, and the job deletes them in its next run.
            sent.Where(message => message.Fate == Fate.Expiring).ToList().ForEach(message => message.Fate = Fate.Expired);
        }

        (await anna.Http.DeleteAsync($"/v1/rooms/{deletedRoom}")).EnsureSuccessStatusCode();
        (await carla.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(carla.Password), Wire.Json)).EnsureSuccessStatusCode();
        foreach (var message in sent.Where(message => message.Fate == Fate.Kept))
            message.Fate = message.RoomId == deletedRoom ? Fate.InDeletedRoom : message.Sender == carla ? Fate.OfErasedAccount : Fate.Kept;
        await server.Time.PassAsync(Bound);

        AssertOnlyKept(server, sent);
        Assert.All(Enum.GetValues<Fate>().Except([Fate.Expiring]), fate => Assert.Contains(sent, message => message.Fate == fate));
        foreach (var room in rooms.Where(room => room.Id != deletedRoom))
            await AssertReadableAsync(people[1].Hub, room.Id, sent);
        Assert.Equal("ok", await server.ScalarAsync<string>("pragma integrity_check"));

        async Task SendAsync(TestConnection hub, TestUser user, List<Message> all)
        {
            var batch = new List<SendRequest>();
            for (var (bytes, count) = (0, random.Next(1, 30)); batch.Count < count;)
            {
                // As many of 50 to 100 bytes as of 16 to 32 KiB.
                var length = (int)Math.Min(32 * 1024, 50 * Math.Pow(2, random.NextDouble() * 9.4));
                if (batch.Count > 0 && bytes + length > Limits.Default.BatchBytes)
                    break;
                bytes += length;
                batch.Add(new SendRequest(
                    rooms[random.Next(rooms.Length)].Id, Guid.NewGuid(), Repeat(random.NextInt64(), length), random.Next(20) == 0 ? 60 : null));
            }

            foreach (var (request, result) in batch.Zip(await hub.SendBatchAsync([.. batch])))
            {
                all.Add(new Message(
                    BinaryPrimitives.ReadUInt64LittleEndian(request.Ciphertext), request.RoomId, result.Ack!.Seq, user, request.Ciphertext.Length)
                {
                    Fate = request.TimeToLiveSeconds is null ? Fate.Kept : Fate.Expiring,
                });
            }
        }
    }

    private void AssertOnlyKept(TestServer server, List<Message> sent)
    {
        var found = Search(server, sent);
        var wrong = sent.Where(message => message.Fate != Fate.Kept && message.Fate != Fate.Expiring && found.ContainsKey(message.Marker)).ToList();
        foreach (var message in wrong.Take(20))
            output.WriteLine($"{message.Fate}, {message.Length} bytes, still in {found[message.Marker]}");
        Assert.Empty(wrong.Select(message => message.Seq));
        // The search would find them.
        Assert.Empty(sent.Where(message => message.Fate == Fate.Kept && !found.ContainsKey(message.Marker)).Select(message => message.Seq));
    }

    private static async Task AssertReadableAsync(TestConnection hub, Guid roomId, List<Message> sent)
    {
        var kept = sent.Where(message => message.RoomId == roomId && message.Fate == Fate.Kept).ToDictionary(message => message.Seq);
        for (long after = 0, head = 1; after < head;)
        {
            var page = await hub.SyncAsync(roomId, after);
            foreach (var entry in page.Entries.Where(entry => entry.Kind == EntryKind.Message))
            {
                Assert.True(kept.Remove(entry.Seq, out var message), $"{entry.Seq} should be gone.");
                Assert.Equal(Repeat((long)message.Marker, message.Length), entry.Ciphertext);
            }

            (after, head) = (page.Entries[^1].Seq, page.HeadSeq);
        }

        Assert.Empty(kept);
    }

    /// <summary>Where the files of the database contain the marker of a message.</summary>
    private static Dictionary<ulong, string> Search(TestServer server, List<Message> sent)
    {
        var markers = sent.Select(message => message.Marker).ToHashSet();
        var mayBe = new bool[ushort.MaxValue + 1];
        foreach (var marker in markers)
            mayBe[(ushort)marker] = true;
        var found = new Dictionary<ulong, string>();
        foreach (var path in Directory.GetFiles(server.DataDirectory, "secure-messaging.db*"))
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            for (var at = 0; at + sizeof(ulong) <= bytes.Length; at++)
            {
                if (mayBe[BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at))]
                    && BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at)) is var marker && markers.Contains(marker))
                    found[marker] = $"{Path.GetFileName(path)}, page {(at / 4096) + 1}, byte {at % 4096}";
            }
        }

        return found;
    }

    private static byte[] Repeat(long marker, int length)
    {
        var bytes = new byte[length + sizeof(long)];
        for (var at = 0; at < length; at += sizeof(long))
            BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(at), marker);
        return bytes[..length];
    }

    private sealed record Message(ulong Marker, Guid RoomId, long Seq, TestUser Sender, int Length)
    {
        public Fate Fate { get; set; }
    }
}
