using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Mls;

/// <summary>The parser reads messages of another implementation, and nothing else.</summary>
public sealed class MlsParserTests
{
    /// <summary>The number of mutations of a long run.</summary>
    private const string FuzzVariable = "SECUREMESSAGING_TEST_MLS_FUZZ";

    private static readonly MlsVectors Vectors = MlsVectors.All;

    [Fact]
    public void PrivateMessages_have_group_epoch_and_kind()
    {
        Assert.Contains(Vectors.PrivateMessages, vector => vector.ContentType == "proposal");
        foreach (var vector in Vectors.PrivateMessages)
        {
            Assert.True(MlsPrivateMessage.TryRead(vector.Message, out var read));
            Assert.Equal((vector.Epoch, vector.ContentType), ((long)read.Epoch, read.Type.ToString().ToLowerInvariant()));
            Assert.Equal(vector.GroupId, read.GroupId.ToArray());
            var group = Vectors.Groups.Single(candidate => vector.GroupId.AsSpan(0, 16).SequenceEqual(candidate.RoomId.ToByteArray(bigEndian: true)));
            Assert.True(read.TryGetGeneration(group.RoomId, out var generation));
            Assert.Equal(group.Generation, generation);
            Assert.False(read.TryGetGeneration(Guid.NewGuid(), out _));
            Assert.False(MlsMessage.TryReadPublicHeader(vector.Message, out _));
        }

        foreach (var vector in Vectors.PublicMessages)
        {
            Assert.True(MlsMessage.TryReadPublicHeader(vector.Message, out var type));
            Assert.Equal(vector.ContentType, type.ToString().ToLowerInvariant());
            Assert.False(MlsPrivateMessage.TryRead(vector.Message, out _));
        }
    }

    [Fact]
    public void Welcomes_have_their_recipients()
    {
        Assert.Equal([1, 5, 20, 60], Vectors.Welcomes.Select(vector => vector.References.Length));
        foreach (var vector in Vectors.Welcomes)
        {
            Assert.True(MlsWelcome.TryRead(vector.Message, most: 1000, out var references));
            Assert.Equal(vector.References, references);
            Assert.False(MlsWelcome.TryRead(vector.Message, most: vector.References.Length - 1, out _));
        }
    }

    [Fact]
    public void KeyPackages_pass_every_check_and_have_the_same_reference_as_in_other_libraries()
    {
        foreach (var vector in Vectors.KeyPackages)
        {
            Assert.True(DeviceCredential.Verify(vector.IdentityKey, vector.UserId, vector.DeviceId, vector.SignatureKey, vector.IdentitySignature));
            var identity = DeviceCredential.Encode(vector.UserId, vector.DeviceId, vector.IdentityKey, vector.IdentitySignature);
            var read = KeyPackageCheck.Require("keyPackages/0", vector.Message, identity, vector.SignatureKey, Vectors.Time);
            Assert.Equal(vector.Reference, read.Reference);
            // The server stores the day alone.
            Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(vector.NotAfter).UtcDateTime.Date, read.ExpiresAt);
            // The tests' own encoder writes the same form.
            Assert.Equal(vector.Reference, TestMls.Reference(vector.Message));
        }
    }

    [Fact]
    public void Every_changed_byte_of_a_KeyPackage_is_rejected()
    {
        var vector = Vectors.KeyPackages[0];
        var identity = DeviceCredential.Encode(vector.UserId, vector.DeviceId, vector.IdentityKey, vector.IdentitySignature);
        for (var i = 0; i < vector.Message.Length; i++)
        {
            var changed = vector.Message.ToArray();
            changed[i] ^= 0x01;
            Assert.Throws<ApiException>(() => KeyPackageCheck.Require("keyPackages/0", changed, identity, vector.SignatureKey, Vectors.Time));
            Assert.Throws<ApiException>(() => KeyPackageCheck.Require("keyPackages/0", vector.Message[..i], identity, vector.SignatureKey, Vectors.Time));
        }
    }

    [Fact]
    public void Every_truncation_and_every_trailing_byte_is_rejected()
    {
        foreach (var message in Messages())
        {
            Assert.Equal(1, Read(message));
            Assert.Equal(0, Read([.. message, 0]));
            for (var length = 0; length < message.Length; length++)
                Assert.Equal(0, Read(message.AsSpan(0, length)));
        }
    }

    [Theory]
    [InlineData("00", 0, true)]
    [InlineData("3f", 0x3f, true)]
    [InlineData("4040", 0x40, true)]
    [InlineData("7fff", 0x3fff, true)]
    [InlineData("80004000", 0x4000, true)]
    [InlineData("4000", 0, false)]
    [InlineData("403f", 0x3f, false)]
    [InlineData("80003fff", 0x3fff, false)]
    [InlineData("80000001", 1, false)]
    [InlineData("c000000000000001", 1, false)]
    [InlineData("ff", 0, false)]
    [InlineData("bfffffff", 0, false)]
    [InlineData("40", 0, false)]
    [InlineData("800000", 0, false)]
    [InlineData("", 0, false)]
    public void Only_the_shortest_form_of_a_length_is_accepted(string header, int length, bool valid)
    {
        var reader = new MlsReader([.. Convert.FromHexString(header), .. new byte[length]]);
        Assert.Equal(valid, reader.TryReadVector(out var content) && reader.IsAtEnd);
        Assert.Equal(valid ? length : 0, content.Length);
    }

    /// <summary>Seeded mutations of real messages. No parser throws, and everything that a parser returns is in the message.</summary>
    [Fact]
    public void No_bytes_make_the_parser_throw()
    {
        var count = HostileInput.Count(FuzzVariable, 20_000);
        var random = Seed.For("mls");
        byte[][] corpus = [.. Messages()];
        var read = 0;
        for (var i = 0; i < count; i++)
        {
            var mutated = Mutate(random, corpus);
            try
            {
                read += Read(mutated) > 0 ? 1 : 0;
            }
            catch (Exception exception)
            {
                Assert.Fail($"SECUREMESSAGING_TEST_SEED={Seed.Value}, mutation {i}: {exception.GetType().Name} at {Convert.ToHexString(mutated)}");
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"SECUREMESSAGING_TEST_SEED={Seed.Value}: {count} mutations, {read} of them read");
        // A fuzzer whose every input fails at the first byte tests nothing.
        Assert.InRange(read, count / 100, count - (count / 100));
    }

    private static IEnumerable<byte[]> Messages() => Vectors.PrivateMessages.Select(vector => vector.Message)
        .Concat(Vectors.KeyPackages.Select(vector => vector.Message)).Concat(Vectors.Welcomes.Take(3).Select(vector => vector.Message));

    /// <summary>The number of parsers that accept the message.</summary>
    private static int Read(ReadOnlySpan<byte> message)
    {
        var count = 0;
        if (MlsPrivateMessage.TryRead(message, out var framed))
        {
            count++;
            Assert.True(message.Overlaps(framed.GroupId) || framed.GroupId.IsEmpty);
            framed.TryGetGeneration(Guid.Empty, out _);
        }

        if (MlsWelcome.TryRead(message, most: 1000, out var references))
        {
            count++;
            Assert.Equal(references.Count, references.Select(KeyOf).Distinct().Count());
            Assert.All(references, reference => Assert.Equal(32, reference.Length));
        }

        if (MlsKeyPackage.TryRead(message, out var package))
        {
            count++;
            Assert.Equal(message.Length - 4, package.Encoded.Length);
            Assert.True(package.LeafSigned.Length < package.Signed.Length && package.Signed.Length < package.Encoded.Length);
            DeviceCredential.VerifyWithLabel(package.SignatureKey, "KeyPackageTBS"u8, package.Signed, package.Signature);
        }

        MlsMessage.TryReadPublicHeader(message, out _);
        return count;
    }

    private static string KeyOf(byte[] reference) => Convert.ToHexString(reference);

    private static byte[] Mutate(Random random, byte[][] corpus)
    {
        var bytes = corpus[random.Next(corpus.Length)].ToList();
        for (var rounds = random.Next(1, 4); rounds > 0; rounds--)
        {
            // More often near the beginning, where the framing is, than in the encrypted part.
            var at = bytes.Count == 0 ? 0 : random.Next(2) == 0 ? random.Next(Math.Min(bytes.Count, 64)) : random.Next(bytes.Count);
            switch (random.Next(8))
            {
                case 0 when bytes.Count > 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1 when bytes.Count > 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2 when bytes.Count > 0:
                    bytes.RemoveRange(at, random.Next(bytes.Count - at) + 1);
                    break;
                case 3:
                    bytes.InsertRange(at, random.Bytes(random.Next(1, 40)));
                    break;
                case 4 when bytes.Count > 0:
                    bytes[at] = new byte[] { 0x00, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff }[random.Next(8)];
                    break;
                case 5 when bytes.Count > 1:
                    bytes.InsertRange(at, bytes.GetRange(at, random.Next(1, Math.Min(bytes.Count - at, 64) + 1)));
                    break;
                case 6:
                    var other = corpus[random.Next(corpus.Length)];
                    bytes = [.. bytes.Take(at), .. other.Skip(random.Next(other.Length))];
                    break;
                default:
                    bytes.AddRange(random.Bytes(random.Next(0, 4)));
                    break;
            }
        }

        return [.. bytes];
    }
}
