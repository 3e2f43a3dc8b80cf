using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Trust;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Trust;

/// <summary>The server's decoders read the vectors of <c>tests/trust-vectors</c>, and survive everything else.</summary>
public sealed class SignedObjectTests
{
    private static readonly FoundingVectors Foundings = Read<FoundingVectors>("founding");
    private static readonly DeviceVectors Lists = Read<DeviceVectors>("devices");

    [Fact]
    public void The_room_id_is_computed_from_the_founding() => Assert.All(Foundings.Valid, vector => Assert.Equal(
        new Founding(vector.Kind == 2, vector.Founder, vector.Other, vector.RoomId), Founding.TryRead(Convert.FromHexString(vector.Encoded))));

    [Fact]
    public void An_invalid_founding_is_refused() =>
        Assert.All(Foundings.Invalid, vector => Assert.Null(Founding.TryRead(Convert.FromHexString(vector.Encoded))));

    [Fact]
    public void Valid_device_lists_continue_their_chain()
    {
        DeviceList? before = null;
        foreach (var vector in Lists.Valid)
        {
            var list = DeviceList.TryRead(Convert.FromHexString(vector.Encoded))!;
            Assert.Equal((vector.Number, vector.Username, (DeviceListReason)vector.Reason), ((long)list.Number, list.Username, list.Reason));
            Assert.Equal(vector.Hash, Convert.ToHexStringLower(list.Hash));
            Assert.Null(DeviceListCheck.OfDevices(list));
            Assert.Null(DeviceListCheck.Next(list, before));
            before = list;
        }
    }

    [Fact]
    public void An_invalid_device_list_breaks_the_rule_of_its_vector()
    {
        foreach (var vector in Lists.Invalid)
        {
            var list = DeviceList.TryRead(Convert.FromHexString(vector.Encoded));
            var before = DeviceList.TryRead(Convert.FromHexString(Lists.Valid[vector.Number - 2].Encoded));
            Assert.Equal(vector.Rule, list is null ? "length" : DeviceListCheck.OfDevices(list) ?? DeviceListCheck.Next(list, before));
        }
    }

    /// <summary>A decoder that accepts a damaged object reads another object, or the same one: it has one encoding.</summary>
    [Fact]
    public void Decoders_survive_damaged_bytes()
    {
        var random = Seed.For("signed objects");
        var valid = Foundings.Valid.Select(vector => vector.Encoded).Concat(Lists.Valid.Select(vector => vector.Encoded));
        byte[][] corpus = [.. valid.Select(Convert.FromHexString)];
        var hashes = corpus.Select(Convert.ToHexString).ToHashSet(StringComparer.Ordinal);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = (byte[])corpus[random.Next(corpus.Length)].Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0)
                bytes = bytes[..random.Next(bytes.Length)];
            Founding.TryRead(bytes);
            if (DeviceList.TryRead(bytes) is { } list && !hashes.Contains(Convert.ToHexString(bytes)))
                Assert.NotNull(DeviceListCheck.OfDevices(list) ?? DeviceListCheck.Next(list, BeforeOf(list)));
        }
    }

    private static DeviceList? BeforeOf(DeviceList list) =>
        list.Number >= 2 && list.Number - 2 < (ulong)Lists.Valid.Length
            ? DeviceList.TryRead(Convert.FromHexString(Lists.Valid[list.Number - 2].Encoded)) : null;

    private static T Read<T>(string name) =>
        JsonSerializer.Deserialize<T>(File.ReadAllText(Repository.PathOf("tests", "trust-vectors", $"{name}.json")), Wire.Json)!;

    private sealed record FoundingVectors(FoundingVector[] Valid, InvalidVector[] Invalid);

    private sealed record FoundingVector(int Kind, Guid Founder, Guid? Other, string Encoded, Guid RoomId);

    private sealed record DeviceVectors(DeviceVector[] Valid, InvalidVector[] Invalid);

    private sealed record DeviceVector(long Number, string Username, byte Reason, string Encoded, string Hash);

    private sealed record InvalidVector(string Rule, string Encoded, int Number = 0);
}
