using System.Security.Cryptography;
using CsCheck;
using SecureMessaging.Client;
using Xunit;

namespace SecureMessaging.Tests.Client;

public sealed class SharedKeyCipherTests
{
    private static readonly Guid Room = Guid.NewGuid();
    private static readonly EnvelopeContext Context = new(Guid.NewGuid(), Guid.NewGuid(), "ada", DateTimeOffset.FromUnixTimeMilliseconds(1_800_000_000_123));
    private readonly SharedKeyCipher _cipher = new();

    public SharedKeyCipherTests() => _cipher.AddRoom(Room, SharedKeyCipher.GenerateKey());

    [Fact]
    public void What_is_sealed_opens_with_everything_in_it() => Gen.Byte.Array[0, 2000].Sample(content =>
    {
        var opened = _cipher.Open(Room, Context.MessageId, _cipher.Seal(Room, Context, content));
        Assert.Equal(content, opened.Content);
        Assert.Equal((Context.SenderId, Context.SenderName, Context.SentAt), (opened.SenderId, opened.SenderName, opened.SentAt));
    });

    [Theory]
    [InlineData(0, 256)]
    [InlineData(150, 256)]
    [InlineData(250, 512)]
    [InlineData(1900, 2048)]
    [InlineData(2000, 4096)]
    public void Only_the_size_class_shows(int content, int envelope) => Assert.Equal(envelope, _cipher.Seal(Room, Context, new byte[content]).Length);

    [Fact]
    public void The_largest_content_fits_the_limit_and_one_more_byte_is_refused()
    {
        var longName = Context with { SenderName = new string('n', 255) };
        Assert.Equal(32 * 1024, _cipher.Seal(Room, longName, new byte[SharedKeyCipher.MaxContentBytes]).Length);
        Assert.Throws<ArgumentException>(() => _cipher.Seal(Room, Context, new byte[SharedKeyCipher.MaxContentBytes + 1]));
    }

    [Fact]
    public void Every_flipped_bit_and_every_cut_is_noticed()
    {
        var envelope = _cipher.Seal(Room, Context, "hello"u8);
        for (var bit = 0; bit < envelope.Length * 8; bit++)
        {
            var bent = envelope.ToArray();
            bent[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.ThrowsAny<CryptographicException>(() => _cipher.Open(Room, Context.MessageId, bent));
        }
        for (var length = 0; length < envelope.Length; length++)
            Assert.ThrowsAny<CryptographicException>(() => _cipher.Open(Room, Context.MessageId, envelope.AsSpan(0, length)));
    }

    [Fact]
    public void An_envelope_cannot_move_to_another_room_or_id_or_key()
    {
        var key = SharedKeyCipher.GenerateKey();
        var other = Guid.NewGuid();
        _cipher.AddRoom(Room, key);
        _cipher.AddRoom(other, key);
        var envelope = _cipher.Seal(Room, Context, "hello"u8);
        Assert.ThrowsAny<CryptographicException>(() => _cipher.Open(other, Context.MessageId, envelope));
        Assert.ThrowsAny<CryptographicException>(() => _cipher.Open(Room, Guid.NewGuid(), envelope));
        _cipher.AddRoom(Room, SharedKeyCipher.GenerateKey());
        Assert.ThrowsAny<CryptographicException>(() => _cipher.Open(Room, Context.MessageId, envelope));
        _cipher.RemoveRoom(Room);
        Assert.ThrowsAny<CryptographicException>(() => _cipher.Open(Room, Context.MessageId, envelope));
    }

    [Fact]
    public void Sealing_twice_never_gives_the_same_bytes() =>
        Assert.NotEqual(_cipher.Seal(Room, Context, "hello"u8), _cipher.Seal(Room, Context, "hello"u8));

    [Fact]
    public void A_name_opens_with_the_key_alone_and_has_one_length()
    {
        var sealedName = _cipher.SealName(Room, "Lesekreis ✓");
        Assert.Equal(256, sealedName.Length);
        Assert.Equal(256, _cipher.SealName(Room, "").Length);
        Assert.Equal("Lesekreis ✓", _cipher.OpenName(Room, sealedName));
        Assert.Null(_cipher.OpenName(Guid.NewGuid(), sealedName));
        Assert.Null(_cipher.OpenName(Room, [1, 2, 3]));
        Assert.Throws<ArgumentException>(() => _cipher.SealName(Room, new string('x', 300)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not base64!")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void A_weak_key_is_refused(string key) => Assert.Throws<ArgumentException>(() => _cipher.AddRoom(Room, key));
}
