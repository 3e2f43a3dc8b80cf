using System.Security.Cryptography;
using CsCheck;
using SecureMessaging.Client;

namespace SecureMessaging.Tests.Client;

public sealed class SharedKeyCipherTests
{
    private static readonly Guid Room = Guid.NewGuid();
    private static readonly EnvelopeContext Context = new(Guid.NewGuid(), Guid.NewGuid(), "ada", DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_123));
    private readonly SharedKeyCipher cipher = new();

    public SharedKeyCipherTests() => cipher.AddRoom(Room, SharedKeyCipher.GenerateKey());

    [Fact]
    public void A_sealed_message_opens_with_all_its_content() => Gen.Byte.Array[0, 2000].Sample(content =>
    {
        var opened = cipher.Open(Room, Context.MessageId, cipher.Seal(Room, Context, content));
        Assert.Equal(content, opened.Content);
        Assert.Equal((Context.SenderId, Context.SenderName, Context.SentAt), (opened.SenderId, opened.SenderName, opened.SentAt));
    });

    [Theory]
    [InlineData(0, 256)]
    [InlineData(150, 256)]
    [InlineData(250, 512)]
    [InlineData(1900, 2048)]
    [InlineData(2000, 4096)]
    public void A_sealed_message_reveals_only_its_size_class(int content, int envelope) =>
        Assert.Equal(envelope, cipher.Seal(Room, Context, new byte[content]).Length);

    [Fact]
    public void The_largest_content_fits_the_limit_and_one_more_byte_is_rejected()
    {
        var longName = Context with { SenderName = new string('n', 255) };
        Assert.Equal(32 * 1024, cipher.Seal(Room, longName, new byte[SharedKeyCipher.MaxContentBytes]).Length);
        Assert.Throws<ArgumentException>(() => cipher.Seal(Room, Context, new byte[SharedKeyCipher.MaxContentBytes + 1]));
    }

    [Fact]
    public void Every_flipped_bit_and_every_truncation_is_detected()
    {
        var envelope = cipher.Seal(Room, Context, "hello"u8);
        for (var bit = 0; bit < envelope.Length * 8; bit++)
        {
            var bent = envelope.ToArray();
            bent[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.ThrowsAny<CryptographicException>(() => cipher.Open(Room, Context.MessageId, bent));
        }
        for (var length = 0; length < envelope.Length; length++)
            Assert.ThrowsAny<CryptographicException>(() => cipher.Open(Room, Context.MessageId, envelope.AsSpan(0, length)));
    }

    [Fact]
    public void An_envelope_cannot_move_to_another_room_or_id_or_key()
    {
        var key = SharedKeyCipher.GenerateKey();
        var other = Guid.NewGuid();
        cipher.AddRoom(Room, key);
        cipher.AddRoom(other, key);
        var envelope = cipher.Seal(Room, Context, "hello"u8);
        Assert.ThrowsAny<CryptographicException>(() => cipher.Open(other, Context.MessageId, envelope));
        Assert.ThrowsAny<CryptographicException>(() => cipher.Open(Room, Guid.NewGuid(), envelope));
        cipher.AddRoom(Room, SharedKeyCipher.GenerateKey());
        Assert.ThrowsAny<CryptographicException>(() => cipher.Open(Room, Context.MessageId, envelope));
        cipher.RemoveRoom(Room);
        Assert.ThrowsAny<CryptographicException>(() => cipher.Open(Room, Context.MessageId, envelope));
    }

    [Fact]
    public void Sealing_the_same_content_twice_gives_different_bytes() =>
        Assert.NotEqual(cipher.Seal(Room, Context, "hello"u8), cipher.Seal(Room, Context, "hello"u8));

    [Fact]
    public void A_name_opens_only_with_the_key_and_has_a_constant_length()
    {
        var sealedName = cipher.SealName(Room, "Lesekreis ✓");
        Assert.Equal(256, sealedName.Length);
        Assert.Equal(256, cipher.SealName(Room, "").Length);
        Assert.Equal("Lesekreis ✓", cipher.OpenName(Room, sealedName));
        Assert.Null(cipher.OpenName(Guid.NewGuid(), sealedName));
        Assert.Null(cipher.OpenName(Room, [1, 2, 3]));
        Assert.Throws<ArgumentException>(() => cipher.SealName(Room, new string('x', 300)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not base64!")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void A_weak_key_is_rejected(string key) => Assert.Throws<ArgumentException>(() => cipher.AddRoom(Room, key));
}
