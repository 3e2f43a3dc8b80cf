using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Devices;

public abstract class KeyPackageTests(TestServer server)
{
    [Fact]
    public async Task Each_KeyPackage_is_claimed_once_and_the_last_resort_repeatedly()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var packages = await device.StockUpAsync(2);
        Assert.Equal(new KeyPackageStock(2, false, false), await device.StockAsync());
        var lastResort = device.NewKeyPackage().Encode();
        Assert.Equal(new KeyPackageStock(2, true, false), await (await device.UploadAsync([], lastResort)).ReadAsync<KeyPackageStock>());

        var claimed = new List<ClaimedKeyPackage>();
        for (var i = 0; i < 4; i++)
            claimed.AddRange(await ben.ClaimAsync(anna));
        Assert.All(claimed, package => Assert.Equal((anna.Id, device.Id), (package.UserId, package.DeviceId)));
        Assert.Equal(Hex([.. packages]), Hex([.. claimed.Take(2).Select(package => package.KeyPackage)]));
        Assert.All(claimed.Skip(2), package => Assert.Equal(lastResort, package.KeyPackage));
        Assert.Equal(new KeyPackageStock(0, true, true), await device.StockAsync());

        // A claimed KeyPackage does not return, and a stored one is not stored twice.
        await (await device.UploadAsync(packages, lastResort)).ReadAsync<KeyPackageStock>();
        Assert.Equal(new KeyPackageStock(0, true, true), await device.StockAsync());
        await (await device.UploadAsync([], packages[0])).ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Equal(new KeyPackageStock(0, true, true), await device.StockAsync());
        Assert.Equal(new KeyPackageStock(0, true, false), await (await device.UploadAsync([], device.NewKeyPackage().Encode())).ReadAsync<KeyPackageStock>());
    }

    [Fact]
    public async Task A_claim_covers_all_or_the_named_devices_and_never_the_caller_or_waiting_ones()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        using var second = await first.AddDeviceAsync();
        using var waiting = await first.AddDeviceAsync(approved: false);
        using var bens = await ben.AddDeviceAsync();
        foreach (var device in new[] { first, second, bens })
            await device.StockUpAsync(3);
        await (await waiting.UploadAsync([waiting.NewKeyPackage().Encode()])).ReadErrorAsync(409, ErrorCode.Conflict);
        Assert.Equal(new[] { first.Id, second.Id }.Order(), (await ben.ClaimAsync(anna, anna)).Select(package => package.DeviceId).Order());
        Assert.Equal(new[] { second.Id, bens.Id }.Order(), (await anna.ClaimAsync(anna, ben)).Select(package => package.DeviceId).Order());
        var named = await ben.Http.PostAsJsonAsync(
            "/v1/key-packages/claim", new ClaimKeyPackagesRequest([anna.Id, Guid.NewGuid()], [second.Id, bens.Id, Guid.NewGuid()]), Wire.Json);
        Assert.Equal([second.Id], (await named.ReadAsync<ClaimedKeyPackages>()).KeyPackages.Select(package => package.DeviceId));
        await (await ben.Http.PostAsJsonAsync("/v1/key-packages/claim", new ClaimKeyPackagesRequest([]), Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
        var many = new ClaimKeyPackagesRequest([.. Enumerable.Range(0, 101).Select(_ => Guid.NewGuid())]);
        await (await ben.Http.PostAsJsonAsync("/v1/key-packages/claim", many, Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await server.Http.PostAsJsonAsync("/v1/key-packages/claim", many, Wire.Json)).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task Every_defect_of_a_KeyPackage_is_rejected()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        using var second = await device.AddDeviceAsync();
        using var bens = await ben.AddDeviceAsync();
        using var stranger = TestDevice.NewKey();
        var right = device.NewKeyPackage();
        var now = right.Now;
        var key = RandomNumberGenerator.GetBytes(32);
        var whole = right.Encode();
        (string What, byte[] Message)[] forgeries =
        [
            ("wire format", (right with { Message = (ushort)WireFormat.Welcome }).Encode()),
            ("message version", (right with { MessageVersion = 2 }).Encode()),
            ("version", (right with { Version = 2 }).Encode()),
            ("suite", (right with { Suite = 2 }).Encode()),
            ("source update", (right with { Source = 2 }).Encode()),
            ("source commit", (right with { Source = 3 }).Encode()),
            ("x509 credential", (right with { Credential = 2 }).Encode()),
            ("credential of another device", (right with { Identity = second.Credential }).Encode()),
            ("credential of another user", (right with { Identity = bens.Credential }).Encode()),
            ("credential cut", (right with { Identity = right.Identity[..127] }).Encode()),
            ("credential longer", (right with { Identity = [.. right.Identity, 0] }).Encode()),
            ("credential with another identity key",
                (right with { Identity = DeviceCredential.Encode(anna.Id, device.Id, bens.IdentityKey, device.IdentitySignature) }).Encode()),
            ("signature key of another device, signed by it", (second.NewKeyPackage() with { Identity = right.Identity }).Encode()),
            ("leaf of another signature key", (right with { LeafSignatureKey = bens.PublicKey }).Encode()),
            ("leaf signed by another", (right with { LeafSigner = stranger }).Encode()),
            ("signed by another", (right with { Signer = stranger }).Encode()),
            ("leaf label", (right with { LeafLabel = "KeyPackageTBS" }).Encode()),
            ("label", (right with { Label = "LeafNodeTBS" }).Encode()),
            ("same keys", (right with { InitKey = key, EncryptionKey = key }).Encode()),
            ("init key short", (right with { InitKey = key[..31] }).Encode()),
            ("encryption key long", (right with { EncryptionKey = [.. key, 1] }).Encode()),
            ("not yet", (right with { NotBefore = now.AddHours(2) }).Encode()),
            ("no more", (right with { NotBefore = now.AddDays(-20), NotAfter = now.AddSeconds(-1) }).Encode()),
            ("for too long", (right with { NotAfter = now.AddDays(101) }).Encode()),
            ("since for ever", (right with { NotBefore = DateTimeOffset.UnixEpoch }).Encode()),
            ("before it begins", (right with { NotBefore = now.AddMinutes(50), NotAfter = now.AddMinutes(40) }).Encode()),
            ("for ever", (right with { NotAfter = DateTimeOffset.MaxValue }).Encode()),
            ("version not supported", (right with { Versions = [2] }).Encode()),
            ("suite not supported", (right with { Suites = [2, 3] }).Encode()),
            ("credential not supported", (right with { Credentials = [2] }).Encode()),
            ("leaf extension not supported", (right with { LeafExtensions = [0x0b0b] }).Encode()),
            ("extension not supported", (right with { Extensions = [0x0b0b] }).Encode()),
            ("extension twice", (right with { Extensions = [0x0a0a, 0x0a0a] }).Encode()),
            ("trailing", (right with { Trailing = [0] }).Encode()),
            ("cut", whole[..^1]),
            ("without header", whole[4..]),
            ("empty", []),
            ("a commit", TestMls.Commit(Guid.NewGuid(), 0)),
        ];
        foreach (var (what, message) in forgeries)
        {
            foreach (var upload in new[] { new UploadKeyPackagesRequest([device.NewKeyPackage().Encode(), message]), new UploadKeyPackagesRequest(
                [], message) })
            {
                using var response = await device.Http.PostAsJsonAsync($"/v1/devices/{device.Id}/key-packages", upload, Wire.Json);
                Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{what}: {response.StatusCode}");
            }
        }

        // A defective one rejects the whole upload. Control: an unusual valid one is accepted.
        Assert.Equal(new KeyPackageStock(0, false, false), await device.StockAsync());
        var unusual = right with { NotBefore = now.AddMinutes(50), NotAfter = now.AddDays(99), LeafExtensions = [0x0a0a], Extensions = [0x0a0a] };
        Assert.Equal(2, (await (await device.UploadAsync([whole, unusual.Encode()])).ReadAsync<KeyPackageStock>()).Available);
    }

    [Fact]
    public async Task Uploads_have_limits()
    {
        await using var anna = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        await (await device.UploadAsync([])).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await device.UploadAsync([null!])).ReadErrorAsync(400, ErrorCode.Invalid);
        var one = device.NewKeyPackage().Encode();
        await (await device.UploadAsync([one, one])).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await device.UploadAsync([one], one)).ReadErrorAsync(400, ErrorCode.Invalid);
        await (await device.UploadAsync([new byte[4097]])).ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await device.UploadAsync([.. Enumerable.Range(0, 101).Select(_ => one)])).ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await device.UploadAsync([new byte[600 * 1024]])).ReadErrorAsync(413, ErrorCode.TooLarge);
        await device.StockUpAsync(100, lastResort: true);
        await (await device.UploadAsync([one])).ReadErrorAsync(413, ErrorCode.TooLarge);
        Assert.Equal(100, (await device.StockAsync()).Available);
    }

    [Fact]
    public async Task A_caller_that_drains_a_device_gets_the_last_resort_and_others_still_get_theirs()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        await using var carl = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var lastResort = device.NewKeyPackage().Encode();
        await device.StockUpAsync(20);
        await (await device.UploadAsync([], lastResort)).ReadAsync<KeyPackageStock>();
        var claimed = new List<byte[]>();
        for (var i = 0; i < 30; i++)
            claimed.Add((await ben.ClaimAsync(anna)).Single().KeyPackage);
        Assert.Equal(20, claimed.Count(package => package.AsSpan().SequenceEqual(lastResort)));
        Assert.Equal(11, Hex([.. claimed]).Distinct().Count());
        Assert.Equal(new KeyPackageStock(10, true, true), await device.StockAsync());
        Assert.NotEqual(lastResort, (await carl.ClaimAsync(anna)).Single().KeyPackage);
    }

    [Fact]
    public async Task Too_many_claims_of_one_account_are_rate_limited()
    {
        await using var node = await server.DedicatedAsync("--RateLimits:Claims:Burst=5", "--RateLimits:Claims:PerMinute=1");
        await using var anna = await node.SignUpAsync();
        await using var ben = await node.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        await device.StockUpAsync(20);
        for (var i = 0; i < 5; i++)
            Assert.Single(await ben.ClaimAsync(anna));
        var request = new ClaimKeyPackagesRequest([anna.Id]);
        using var refused = await ben.Http.PostAsJsonAsync("/v1/key-packages/claim", request, Wire.Json);
        var error = await refused.ReadErrorAsync(429, ErrorCode.RateLimited);
        Assert.InRange(error.RetryAfterMs!.Value, 1, 60_000);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Equal(15, (await device.StockAsync()).Available);
        node.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Single(await ben.ClaimAsync(anna));
    }

    [Fact]
    public async Task Concurrent_claims_never_return_a_KeyPackage_twice()
    {
        await using var anna = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var lastResort = device.NewKeyPackage().Encode();
        var packages = await device.StockUpAsync(60);
        await (await device.UploadAsync([], lastResort)).ReadAsync<KeyPackageStock>();
        var others = await server.SignUpAsync(12);
        var claims = await Task.WhenAll(Enumerable.Range(0, 120).Select(i => others[i % 12].ClaimAsync(anna)));
        var once = Hex([.. claims.Select(claim => claim.Single().KeyPackage).Where(package => !package.AsSpan().SequenceEqual(lastResort))]);
        Assert.Equal(once.Length, once.Distinct(StringComparer.Ordinal).Count());
        Assert.Subset(Hex([.. packages]).ToHashSet(StringComparer.Ordinal), once.ToHashSet(StringComparer.Ordinal));
        Assert.Equal(60, once.Length + (await device.StockAsync()).Available);
        Assert.InRange(once.Length, 30, 60);
    }

    [Fact]
    public async Task A_device_gets_a_hint_when_its_stock_is_low()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        await device.StockUpAsync(11, lastResort: true);
        var hubs = new[] { await anna.ConnectAsync(), await anna.ConnectAsync(messagePack: true) };
        await ben.ClaimAsync(anna);
        await ben.ClaimAsync(anna);
        foreach (var hub in hubs)
        {
            Assert.Equal([device.Id, 9], await hub.WaitAsync(nameof(IChatClient.KeyPackagesLow)));
            Assert.Single(hub.Pushes(nameof(IChatClient.KeyPackagesLow)));
        }
    }

    private static string[] Hex(byte[][] values) => [.. values.Select(Convert.ToHexString).Order(StringComparer.Ordinal)];
}

public sealed class KeyPackageTestsOnSqlite(SqliteServer server) : KeyPackageTests(server);

public sealed class KeyPackageTestsOnPostgres(PostgresServer server) : KeyPackageTests(server);
