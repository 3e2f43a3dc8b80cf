using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;

namespace SecureMessaging.Tests.Harness;

/// <summary>A device of a user with its keys, as a client keeps them. Its session is that of <see cref="Http"/>.</summary>
internal sealed class TestDevice(TestUser user, Key identity, HttpClient http) : IDisposable
{
    public TestUser User { get; } = user;

    public Guid Id { get; } = Guid.NewGuid();

    /// <summary>The user's identity key, shared by all devices.</summary>
    public Key Identity { get; set; } = identity;

    public Key SignatureKey { get; set; } = NewKey();

    public HttpClient Http { get; } = http;

    public byte[] IdentityKey => Identity.PublicKey.Export(KeyBlobFormat.RawPublicKey);

    public byte[] PublicKey => SignatureKey.PublicKey.Export(KeyBlobFormat.RawPublicKey);

    public byte[] LinkKey { get; } = RandomNumberGenerator.GetBytes(32);

    public byte[] IdentitySignature => Sign(Identity, User.Id, Id, PublicKey);

    public byte[] Credential => DeviceCredential.Encode(User.Id, Id, IdentityKey, IdentitySignature);

    public static Key NewKey() => Key.Create(SignatureAlgorithm.Ed25519);

    public static byte[] Sign(Key identity, Guid userId, Guid deviceId, byte[] signatureKey) => SignatureAlgorithm.Ed25519.Sign(
        identity, [.. Encoding.ASCII.GetBytes("SecureMessaging 1.0 DeviceCredential"), .. userId.ToByteArray(bigEndian: true), .. deviceId.ToByteArray(
            bigEndian: true), .. signatureKey]);

    public RegisterDeviceRequest Registration(bool approved = true, bool first = true) => new(
        Id, PublicKey, LinkKey, first ? IdentityKey : null, approved ? IdentitySignature : null);

    public async Task<Device> RegisterAsync(bool approved = true, bool first = true)
    {
        using var response = await Http.PostAsJsonAsync("/v1/devices", Registration(approved, first), Wire.Json);
        return await response.ReadAsync<Device>();
    }

    public TestKeyPackage NewKeyPackage(DateTimeOffset? now = null) => new(SignatureKey, Credential, now ?? TimeProvider.System.GetUtcNow());

    public Task<HttpResponseMessage> UploadAsync(byte[][] packages, byte[]? lastResort = null) =>
        Http.PostAsJsonAsync($"/v1/devices/{Id}/key-packages", new UploadKeyPackagesRequest(packages, lastResort), Wire.Json);

    /// <summary>Uploads new KeyPackages and returns them.</summary>
    public async Task<byte[][]> StockUpAsync(int count, bool lastResort = false, DateTimeOffset? now = null)
    {
        byte[][] packages = [.. Enumerable.Range(0, count).Select(_ => NewKeyPackage(now).Encode())];
        using var response = await UploadAsync(packages, lastResort ? NewKeyPackage(now).Encode() : null);
        await response.ReadAsync<KeyPackageStock>();
        return packages;
    }

    public async Task<KeyPackageStock> StockAsync() => (await Http.GetFromJsonAsync<KeyPackageStock>($"/v1/devices/{Id}/key-packages", Wire.Json))!;

    public async Task<PendingWelcome[]> WelcomesAsync() => (await Http.GetFromJsonAsync<PendingWelcome[]>($"/v1/devices/{Id}/welcomes", Wire.Json))!;

    /// <summary>The identity key is not disposed: other devices share it.</summary>
    public void Dispose()
    {
        SignatureKey.Dispose();
        if (Http != User.Http)
            Http.Dispose();
    }
}

/// <summary>Operations of users with devices.</summary>
internal static class TestDevices
{
    /// <summary>The user's first device, registered in the session of the sign-up.</summary>
    public static async Task<TestDevice> AddDeviceAsync(this TestUser user)
    {
        var device = new TestDevice(user, TestDevice.NewKey(), user.Http);
        await device.RegisterAsync();
        return device;
    }

    /// <summary>Another device of the same user in its own session; registered by default.</summary>
    public static async Task<TestDevice> AddDeviceAsync(this TestDevice first, bool approved = true, bool register = true)
    {
        var tokens = await first.User.SignInAsync();
        var http = new HttpClient { BaseAddress = first.User.Url, DefaultRequestHeaders = { Authorization = new("Bearer", tokens.AccessToken) } };
        var device = new TestDevice(first.User, first.Identity, http);
        if (register)
            await device.RegisterAsync(approved, first: false);
        return device;
    }

    public static async Task<Room> CreateMlsRoomAsync(this TestUser user, params TestUser[] others)
    {
        using var response = await user.Http.PostAsJsonAsync("/v1/rooms", TestTrust.Group(user, others), Wire.Json);
        return await response.ReadAsync<Room>();
    }

    public static Task<HttpResponseMessage> CommitAsync(this HttpClient http, Guid roomId, CommitRequest request) =>
        http.PostAsJsonAsync($"/v1/rooms/{roomId}/commits", request, Wire.Json);

    /// <summary>A minimal commit of this epoch, which must win.</summary>
    public static async Task<CommitAck> CommitAsync(
        this TestUser user, Guid roomId, long epoch, int generation = 0, byte[][]? welcomes = null, RosterChange? roster = null)
    {
        using var response = await user.Http.CommitAsync(
            roomId, new CommitRequest(Guid.NewGuid(), epoch, TestMls.Commit(roomId, epoch, generation), welcomes, roster));
        return await response.ReadAsync<CommitAck>();
    }

    public static async Task<ClaimedKeyPackage[]> ClaimAsync(this TestUser user, params TestUser[] of)
    {
        using var response = await user.Http.PostAsJsonAsync(
            "/v1/key-packages/claim", new ClaimKeyPackagesRequest([.. of.Select(other => other.Id)]), Wire.Json);
        return (await response.ReadAsync<ClaimedKeyPackages>()).KeyPackages;
    }
}
