using System.Buffers;
using System.Text.Json;
using MessagePack;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

public sealed class WireMessagePackTests
{
    private static readonly DateTime Time = new(2026, 3, 4, 5, 6, 0, DateTimeKind.Utc);
    private static readonly Guid Id = Guid.NewGuid();
    private static readonly RoomSettings NoSettings = new(null, null);
    private static readonly SendAck Ack = new(Id, Guid.NewGuid(), 7, Time, true);
    private static readonly ErrorBody Error = new(ErrorCode.WrongEpoch, "No.", false, 100, 4);

    private static readonly LogEntry[] Entries =
    [
        new(1, EntryKind.MemberJoined, Time, UserId: Id, Role: RoomRole.Owner),
        new(2, EntryKind.Message, Time, Id, [1, 2, 3], 5, Id, ExpiresAt: Time.AddDays(1)),
        new(3, EntryKind.SettingsChanged, Time, Settings: NoSettings with { Name = [9], TimeToLiveSeconds = 60 }),
        new(4, EntryKind.Retraction, Time, TargetSeq: 2),
    ];

    public static TheoryData<string> Samples() => [.. All.Keys];

    private static readonly Dictionary<string, object> All = new(StringComparer.Ordinal)
    {
        ["send"] = new SendRequest(Id, Guid.NewGuid(), [1, 2, 3], 60, 3),
        ["plain send"] = new SendRequest(Id, Guid.NewGuid(), [1]),
        ["sends"] = new[] { new SendRequest(Id, Guid.NewGuid(), [1]) },
        ["ack"] = Ack,
        ["results"] = new[] { new SendResult(Ack, null), new SendResult(null, Error) },
        ["error"] = Error,
        ["entries"] = Entries,
        ["page"] = new LogPage(Id, Entries, 4, 1),
        ["heads"] = new[] { new RoomHead(Id, 4, 1, 2, 2) },
        ["settings"] = NoSettings,
        ["change"] = RoomChange.Deleted,
        ["end"] = SessionEndReason.AccountClosed,
        ["id"] = Id,
        ["bytes"] = new byte[] { 1, 2 },
        ["number"] = 5L,
    };

    [Theory]
    [MemberData(nameof(Samples))]
    public void MessagePack_round_trips_and_equals_the_JSON(string name)
    {
        var sample = All[name];
        var back = Read(sample.GetType(), Write(sample));
        Assert.Equal(JsonSerializer.Serialize(sample, Wire.Json), JsonSerializer.Serialize(back, Wire.Json));
    }

    [Fact]
    public void Keys_and_names_are_those_of_the_JSON()
    {
        using var json = JsonDocument.Parse(MessagePackSerializer.ConvertToJson(Write(Entries)));
        var expected = JsonSerializer.SerializeToElement(Entries, Wire.Json);
        for (var i = 0; i < Entries.Length; i++)
            Assert.Equal([.. expected[i].EnumerateObject().Select(p => p.Name)], (string[])[.. json.RootElement[i].EnumerateObject().Select(p => p.Name)]);
        Assert.Equal("memberJoined", json.RootElement[0].GetProperty("kind").GetString());
        Assert.Equal(Id.ToString("D"), json.RootElement[0].GetProperty("userId").GetString());
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Truncated_bytes_are_rejected(string name)
    {
        var bytes = Write(All[name]);
        for (var length = 0; length < bytes.Length; length++)
            Assert.Throws<MessagePackSerializationException>(() => Read(All[name].GetType(), bytes.AsMemory(0, length)));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Flipped_bits_are_read_or_rejected_and_never_fail_otherwise(string name)
    {
        var bytes = Write(All[name]);
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            var bent = bytes.ToArray();
            bent[bit / 8] ^= (byte)(1 << (bit % 8));
            try
            {
                Read(All[name].GetType(), bent);
            }
            catch (MessagePackSerializationException)
            {
                // Rejected.
            }
        }
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""[]""")]
    [InlineData("""null""")]
    [InlineData("""{"roomId":null,"clientMessageId":"ID","ciphertext":"x"}""")]
    [InlineData("""{"roomId":"ID","clientMessageId":"ID"}""")]
    [InlineData("""{"roomId":"ID","clientMessageId":"ID","ciphertext":"text"}""")]
    [InlineData("""{"roomId":"ID","roomId":"ID","clientMessageId":"ID"}""")]
    [InlineData("""{"roomId":"short"}""")]
    [InlineData("""{"roomId":5}""")]
    public void A_send_that_violates_the_contract_is_rejected(string json)
    {
        var bytes = MessagePackSerializer.ConvertFromJson(json.Replace("ID", Id.ToString("D"), StringComparison.Ordinal));
        Assert.Throws<MessagePackSerializationException>(() => Read(typeof(SendRequest), bytes));
    }

    [Fact]
    public void Unknown_keys_are_skipped_also_in_small_pieces()
    {
        var bytes = MessagePackSerializer.ConvertFromJson("""{"future":{"a":[1,{"b":null}]},"name":null,"timeToLiveSeconds":9,"another":"x"}""");
        Assert.Equal(NoSettings with { TimeToLiveSeconds = 9 }, Read(typeof(RoomSettings), bytes));
        var pieces = Pieces(bytes);
        Assert.Equal(NoSettings with { TimeToLiveSeconds = 9 }, MessagePackSerializer.Deserialize<RoomSettings>(pieces, WireMessagePack.Options));
    }

    [Fact]
    public void Deep_nesting_and_false_lengths_are_harmless()
    {
        // An unknown key with 200,000 nested arrays is skipped without recursion.
        byte[] deep = [0x81, 0xa1, (byte)'x', .. Enumerable.Repeat((byte)0x91, 200_000), 0xc0];
        Assert.Equal(NoSettings, Read(typeof(RoomSettings), deep));
        // An array header that claims four thousand million elements.
        Assert.Throws<MessagePackSerializationException>(() => Read(typeof(LogEntry[]), new byte[] { 0xdd, 0xff, 0xff, 0xff, 0xff }));
        byte[] nils = [0xdd, 0x00, 0x0f, 0x42, 0x40, .. new byte[1_000_000].Select(_ => (byte)0xc0)];
        Assert.Throws<MessagePackSerializationException>(() => Read(typeof(LogEntry[]), nils));
    }

    [Fact]
    public void Types_outside_of_the_contract_are_not_read()
    {
        Assert.Null(Read(typeof(object), new byte[] { 0xc0 }));
        Assert.Throws<MessagePackSerializationException>(() => Read(typeof(object), new byte[] { 0x01 }));
        Assert.Throws<MessagePackSerializationException>(() => Read(typeof(Profile), new byte[] { 0x80 }));
    }

    private static byte[] Write(object value) => MessagePackSerializer.Serialize(value.GetType(), value, WireMessagePack.Options);

    private static object? Read(Type type, ReadOnlyMemory<byte> bytes) => MessagePackSerializer.Deserialize(type, bytes, WireMessagePack.Options);

    private static ReadOnlySequence<byte> Pieces(byte[] bytes)
    {
        Piece? first = null, last = null;
        foreach (var one in bytes)
            last = last is null ? first = new Piece([one], 0) : last.Append(one);
        return new ReadOnlySequence<byte>(first!, 0, last!, 1);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(byte[] memory, long index) => (Memory, RunningIndex) = (memory, index);

        public Piece Append(byte next)
        {
            var piece = new Piece([next], RunningIndex + 1);
            Next = piece;
            return piece;
        }
    }
}
