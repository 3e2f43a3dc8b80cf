using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection;
using NSec.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Retention;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Devices;

public abstract class DeviceTests(TestServer server)
{
    [Fact]
    public async Task The_first_device_brings_the_identity_and_others_are_visible_once_it_signed_them()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        Assert.Null((await KeysAsync(ben, anna)).IdentityKey);
        using var first = new TestDevice(anna, TestDevice.NewKey(), anna.Http);
        using (var created = await anna.Http.PostAsJsonAsync("/v1/devices", first.Registration(), Wire.Json))
            Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        using (var again = await anna.Http.PostAsJsonAsync("/v1/devices", first.Registration(), Wire.Json))
        {
            Assert.Equal(HttpStatusCode.OK, again.StatusCode);
            var device = await again.ReadAsync<Device>();
            Assert.Equal((first.Id, true, true, TimeSpan.Zero), (device.Id, device.Approved, device.Current, device.CreatedOn.TimeOfDay));
        }

        using var second = await first.AddDeviceAsync(approved: false);
        var keys = await KeysAsync(ben, anna);
        Assert.Equal(first.IdentityKey, keys.IdentityKey);
        Assert.Equal([first.Id], keys.Devices.Select(device => device.DeviceId));

        var seal = RandomNumberGenerator.GetBytes(100);
        await ApproveAsync(first, second, seal);
        keys = await KeysAsync(ben, anna);
        Assert.Equal(2, keys.Devices.Length);
        foreach (var device in new[] { first, second })
        {
            var seen = keys.Devices.Single(key => key.DeviceId == device.Id);
            Assert.Equal(device.PublicKey, seen.SignatureKey);
            Assert.Equal(device.IdentitySignature, seen.IdentitySignature);
        }

        // Only the device itself gets the seal.
        Assert.All(await ListAsync(first), device => Assert.Null(device.SealedIdentity));
        Assert.Equal(seal, (await ListAsync(second)).Single(device => device.Current).SealedIdentity);
        await (await ben.Http.GetAsync("/v1/users/unknown-user/devices")).ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Fact]
    public async Task Unsigned_and_contradictory_devices_are_rejected()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = new TestDevice(anna, TestDevice.NewKey(), anna.Http);
        var right = device.Registration();
        using var stranger = TestDevice.NewKey();
        var forged = TestDevice.Sign(stranger, anna.Id, device.Id, device.PublicKey);
        foreach (var wrong in new[]
        {
            right with { Id = Guid.Empty },
            right with { Id = Guid.NewGuid() },
            right with { IdentityKey = null },
            right with { IdentitySignature = null },
            right with { IdentitySignature = forged },
            right with { IdentitySignature = right.IdentitySignature![..63] },
            right with { IdentitySignature = TestDevice.Sign(device.Identity, ben.Id, device.Id, device.PublicKey) },
            right with { SignatureKey = right.SignatureKey[..31] },
            right with { SignatureKey = stranger.PublicKey.Export(KeyBlobFormat.RawPublicKey) },
            right with { LinkKey = new byte[33] },
            right with { IdentityKey = new byte[31] },
            right with { Scheme = "opaque" },
        })
        {
            await (await anna.Http.PostAsJsonAsync("/v1/devices", wrong, Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
        }

        await (await anna.Http.PostAsJsonAsync("/v1/devices", right with { Name = new byte[257] }, Wire.Json)).ReadErrorAsync(413, ErrorCode.TooLarge);
        await device.RegisterAsync();
        await (await anna.Http.PostAsJsonAsync("/v1/devices", right with { LinkKey = new byte[32] }, Wire.Json)).ReadErrorAsync(409, ErrorCode.Conflict);
        // A session has one device, an id names one device, and the identity is fixed.
        using var other = new TestDevice(anna, device.Identity, anna.Http);
        await (await anna.Http.PostAsJsonAsync("/v1/devices", other.Registration(first: false), Wire.Json)).ReadErrorAsync(409, ErrorCode.Conflict);
        using var taken = new TestDevice(ben, TestDevice.NewKey(), ben.Http);
        var signed = TestDevice.Sign(taken.Identity, ben.Id, device.Id, taken.PublicKey);
        await (await ben.Http.PostAsJsonAsync("/v1/devices", taken.Registration() with { Id = device.Id, IdentitySignature = signed }, Wire.Json))
            .ReadErrorAsync(409, ErrorCode.Conflict);
        using var second = await device.AddDeviceAsync(register: false);
        second.Identity = TestDevice.NewKey();
        await (await second.Http.PostAsJsonAsync("/v1/devices", second.Registration(), Wire.Json)).ReadErrorAsync(409, ErrorCode.Conflict);
        await (await second.Http.PostAsJsonAsync("/v1/devices", second.Registration(first: false), Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task A_user_cannot_change_devices_of_others()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        using var bens = await ben.AddDeviceAsync();
        var path = $"/v1/devices/{device.Id}";
        var approval = new ApproveDeviceRequest(device.IdentitySignature);
        await (await ben.Http.DeleteAsync(path)).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.PutAsync($"{path}/session", null)).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.PutAsJsonAsync($"{path}/approval", approval, Wire.Json)).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.PutAsJsonAsync($"{path}/keys", new RotateDeviceRequest(bens.PublicKey, bens.LinkKey), Wire.Json))
            .ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.GetAsync($"{path}/key-packages")).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.GetAsync($"{path}/welcomes")).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.DeleteAsync($"{path}/welcomes/{Guid.NewGuid()}/1")).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.PostAsJsonAsync($"{path}/key-packages", new UploadKeyPackagesRequest([[1]]), Wire.Json)).ReadErrorAsync(404, ErrorCode.NotFound);
        // Another session of the user cannot do what only the device may do.
        using var second = await device.AddDeviceAsync(register: false);
        await (await second.Http.PutAsJsonAsync($"{path}/keys", new RotateDeviceRequest(second.PublicKey, second.LinkKey), Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await second.Http.GetAsync($"{path}/welcomes")).ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await second.Http.PostAsJsonAsync($"{path}/key-packages", new UploadKeyPackagesRequest([device.NewKeyPackage().Encode()]), Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        await (await server.Http.GetAsync("/v1/devices")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
    }

    [Fact]
    public async Task A_device_outlives_its_session_and_has_one_session_at_a_time()
    {
        await using var anna = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        using var later = await device.AddDeviceAsync(register: false);
        (await later.Http.PutAsync($"/v1/devices/{device.Id}/session", null)).EnsureSuccessStatusCode();
        (await later.Http.PutAsync($"/v1/devices/{device.Id}/session", null)).EnsureSuccessStatusCode();
        await (await anna.Http.GetAsync("/v1/me")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        Assert.True((await later.Http.GetFromJsonAsync<Device[]>("/v1/devices", Wire.Json))!.Single().Current);
        // A session that has a device does not get another.
        using var second = await device.AddDeviceAsync();
        await (await second.Http.PutAsync($"/v1/devices/{device.Id}/session", null)).ReadErrorAsync(409, ErrorCode.Conflict);
        (await later.Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
        Assert.Equal(2, (await second.Http.GetFromJsonAsync<Device[]>("/v1/devices", Wire.Json))!.Length);
    }

    [Fact]
    public async Task A_revoked_device_loses_access_at_once_and_its_rooms_are_informed()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        using var second = await first.AddDeviceAsync();
        await second.StockUpAsync(5, lastResort: true);
        var room = await anna.CreateMlsRoomAsync(ben);
        var opaque = await anna.CreateRoomAsync([ben]);
        var claimed = (await ben.ClaimAsync(anna)).Single(package => package.DeviceId == second.Id);
        await anna.CommitAsync(room.Id, 0, welcomes: [TestMls.Welcome(claimed.KeyPackage)]);
        Assert.Single(await second.WelcomesAsync());
        await using var socket = new TestConnection(server.Url, () => second.Http.DefaultRequestHeaders.Authorization!.Parameter);
        await socket.Hub.StartAsync();
        await socket.HeadsAsync();
        var bens = await ben.ConnectAsync();

        (await anna.Http.DeleteAsync($"/v1/devices/{second.Id}")).EnsureSuccessStatusCode();
        await socket.Closed.Task.WaitAsync(TimeSpan.FromSeconds(20));
        await (await second.Http.GetAsync("/v1/me")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await bens.WaitAsync(room.Id, entries => entries.Any(entry => entry.Kind == EntryKind.DevicesChanged && entry.UserId == anna.Id));
        Assert.Equal([first.Id], (await KeysAsync(ben, anna)).Devices.Select(device => device.DeviceId));
        Assert.Empty(await ben.ClaimAsync(anna));
        foreach (var table in new[] { "key_packages", "welcome_recipients" })
            Assert.Equal(0, await server.ScalarAsync<long>($"select count(*) from {table} where device_id = @Id", new { second.Id }));
        Assert.DoesNotContain((await bens.SyncAsync(opaque.Id)).Entries, entry => entry.Kind == EntryKind.DevicesChanged);
        await (await anna.Http.DeleteAsync($"/v1/devices/{second.Id}")).ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Fact]
    public async Task Rotating_or_replacing_the_identity_drops_signatures_of_the_old_keys()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        using var second = await first.AddDeviceAsync();
        await second.StockUpAsync(3);
        await first.StockUpAsync(3);
        var room = await anna.CreateMlsRoomAsync(ben);

        second.SignatureKey = TestDevice.NewKey();
        var rotation = new RotateDeviceRequest(second.PublicKey, second.LinkKey, second.IdentitySignature);
        await (await second.Http.PutAsJsonAsync($"/v1/devices/{second.Id}/keys", rotation with { IdentitySignature = first.IdentitySignature }, Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
        await (await second.Http.PutAsJsonAsync($"/v1/devices/{second.Id}/keys", rotation with { SignatureKey = first.PublicKey, IdentitySignature = null },
            Wire.Json)).ReadErrorAsync(409, ErrorCode.Conflict);
        for (var repeat = 0; repeat < 2; repeat++)
            Assert.True((await (await second.Http.PutAsJsonAsync($"/v1/devices/{second.Id}/keys", rotation, Wire.Json)).ReadAsync<Device>()).Approved);
        Assert.Equal(0, (await second.StockAsync()).Available);
        await second.StockUpAsync(2);

        using var lost = first.Identity;
        first.Identity = TestDevice.NewKey();
        var replacement = new ReplaceIdentityRequest(first.Id, first.IdentityKey, first.IdentitySignature);
        await (await anna.Http.PutAsJsonAsync("/v1/me/identity", replacement with { IdentitySignature = second.IdentitySignature }, Wire.Json))
            .ReadErrorAsync(400, ErrorCode.Invalid);
        await (await anna.Http.PutAsJsonAsync("/v1/me/identity", replacement with { DeviceId = second.Id }, Wire.Json))
            .ReadErrorAsync(403, ErrorCode.Forbidden);
        (await anna.Http.PutAsJsonAsync("/v1/me/identity", replacement, Wire.Json)).EnsureSuccessStatusCode();
        var keys = await KeysAsync(ben, anna);
        Assert.Equal(first.IdentityKey, keys.IdentityKey);
        Assert.Equal([first.Id], keys.Devices.Select(device => device.DeviceId));
        Assert.Empty(await ben.ClaimAsync(anna));
        await (await second.UploadAsync([second.NewKeyPackage().Encode()])).ReadErrorAsync(409, ErrorCode.Conflict);
        second.Identity = first.Identity;
        await ApproveAsync(first, second);
        await second.StockUpAsync(1);
        var log = await (await ben.ConnectAsync()).SyncAsync(room.Id);
        Assert.Equal(3, log.Entries.Count(entry => entry.Kind == EntryKind.DevicesChanged && entry.UserId == anna.Id));
    }

    [Fact]
    public async Task Only_members_read_each_others_devices()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        using var annas = await anna.AddDeviceAsync();
        using var bens = await ben.AddDeviceAsync();
        var room = await anna.CreateMlsRoomAsync(ben);
        var keys = (await ben.Http.GetFromJsonAsync<UserKeys[]>($"/v1/rooms/{room.Id}/devices", Wire.Json))!;
        Assert.Equal([(anna.Id, anna.Username, annas.Id), (ben.Id, ben.Username, bens.Id)], keys.Select(
            user => (user.UserId, user.Username, user.Devices.Single().DeviceId)));
        await (await carl.Http.GetAsync($"/v1/rooms/{room.Id}/devices")).ReadErrorAsync(404, ErrorCode.NotFound);
        (await anna.Http.DeleteAsync($"/v1/rooms/{room.Id}/members/{ben.Id}")).EnsureSuccessStatusCode();
        await (await ben.Http.GetAsync($"/v1/rooms/{room.Id}/devices")).ReadErrorAsync(404, ErrorCode.NotFound);
    }

    [Fact]
    public async Task An_account_never_exceeds_its_device_limit_under_concurrency()
    {
        await using var node = await server.DedicatedAsync(builder => Limit(builder, devices: 3), []);
        await using var anna = await node.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        var others = new List<TestDevice>();
        for (var i = 0; i < 6; i++)
            others.Add(await first.AddDeviceAsync(register: false));
        var replies = await Task.WhenAll(others.Select(device => device.Http.PostAsJsonAsync("/v1/devices", device.Registration(first: false), Wire.Json)));
        Assert.Equal(2, replies.Count(reply => reply.StatusCode == HttpStatusCode.Created));
        foreach (var refused in replies.Where(reply => reply.StatusCode != HttpStatusCode.Created))
            await refused.ReadErrorAsync(413, ErrorCode.TooLarge);
        others.ForEach(device => device.Dispose());
    }

    [Fact]
    public async Task Waiting_devices_are_deleted_with_their_session_and_approved_ones_stay()
    {
        await using var node = await server.DedicatedAsync(builder => Limit(builder, devices: 3), []);
        await using var anna = await node.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        using var approved = await first.AddDeviceAsync();
        // More private windows than an account may have devices.
        for (var i = 0; i < 5; i++)
        {
            using var waiting = await first.AddDeviceAsync(approved: false);
            Assert.Equal(3, (await ListAsync(first)).Length);
            (await waiting.Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
            Assert.Equal(new[] { first.Id, approved.Id }.ToHashSet(), (await ListAsync(first)).Select(device => device.Id).ToHashSet());
        }

        (await approved.Http.PostAsync("/v1/auth/logout", null)).EnsureSuccessStatusCode();
        Assert.Equal(2, (await ListAsync(first)).Length);
        // The last of them stays in the table until the retention job runs.
        Assert.Equal(1, await node.ScalarAsync<long>("select count(*) from devices where identity_signature is null"));
        await node.Services.GetRequiredService<RetentionService>().RunOnceAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from devices where identity_signature is null"));
        Assert.Equal(2, await node.ScalarAsync<long>("select count(*) from devices"));
    }

    [Fact]
    public async Task A_new_device_replaces_the_oldest_waiting_one_and_never_an_approved_one()
    {
        await using var node = await server.DedicatedAsync(builder => Limit(builder, devices: 3), []);
        await using var anna = await node.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        using var oldest = await first.AddDeviceAsync(approved: false);
        node.Time.Advance(TimeSpan.FromDays(1));
        using var refresh = await node.Http.PostAsJsonAsync("/v1/auth/refresh", new RefreshRequest(anna.Tokens.RefreshToken), Wire.Json);
        anna.Use(await refresh.ReadAsync<TokenResponse>());
        using var later = await first.AddDeviceAsync(approved: false);
        using var newest = await first.AddDeviceAsync(approved: false);
        var list = await ListAsync(first);
        Assert.Equal(3, list.Length);
        Assert.DoesNotContain(list, device => device.Id == oldest.Id);
        await (await oldest.Http.GetAsync("/v1/me")).ReadErrorAsync(401, ErrorCode.Unauthenticated);
        await ApproveAsync(first, later);
        await ApproveAsync(first, newest);
        using var refused = await first.AddDeviceAsync(register: false);
        using var response = await refused.Http.PostAsJsonAsync("/v1/devices", refused.Registration(approved: false, first: false), Wire.Json);
        Assert.Contains("3 devices", (await response.ReadErrorAsync(413, ErrorCode.TooLarge)).Message, StringComparison.Ordinal);
        Assert.Equal(3, (await ListAsync(first)).Length);
    }

    [Fact]
    public async Task The_last_use_of_a_device_is_stored_as_a_day()
    {
        await using var node = await server.DedicatedAsync();
        await using var anna = await node.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var registered = (await ListAsync(device)).Single();
        Assert.Equal((registered.CreatedOn, TimeSpan.Zero), (registered.SeenOn, registered.SeenOn.TimeOfDay));
        node.Time.Advance(TimeSpan.FromDays(2));
        using var refresh = await node.Http.PostAsJsonAsync("/v1/auth/refresh", new RefreshRequest(anna.Tokens.RefreshToken), Wire.Json);
        anna.Use(await refresh.ReadAsync<TokenResponse>());
        await anna.ConnectAsync();
        Assert.Equal(registered.SeenOn.AddDays(2), (await ListAsync(device)).Single().SeenOn);
        Assert.Equal(registered.CreatedOn, (await ListAsync(device)).Single().CreatedOn);
    }

    internal static void Limit(Microsoft.AspNetCore.Builder.WebApplicationBuilder builder, int devices) =>
        Microsoft.Extensions.DependencyInjection.Extensions.ServiceCollectionDescriptorExtensions.Replace(
            builder.Services, Microsoft.Extensions.DependencyInjection.ServiceDescriptor.Singleton(Limits.Default with { Devices = devices }));

    private static async Task<UserKeys> KeysAsync(TestUser by, TestUser of) =>
        (await by.Http.GetFromJsonAsync<UserKeys>($"/v1/users/{of.Username}/devices", Wire.Json))!;

    private static async Task<Device[]> ListAsync(TestDevice device) => (await device.Http.GetFromJsonAsync<Device[]>("/v1/devices", Wire.Json))!;

    [Fact]
    public async Task A_large_transfer_waits_for_the_new_device_and_is_deleted_once_it_has_it()
    {
        await using var anna = await server.SignUpAsync();
        using var first = await anna.AddDeviceAsync();
        using var second = await first.AddDeviceAsync(approved: false);
        var transfer = RandomNumberGenerator.GetBytes(512 * 1024);
        var path = $"/v1/devices/{second.Id}/approval";
        await (await first.Http.PutAsJsonAsync(path, new ApproveDeviceRequest(second.IdentitySignature, [.. transfer, 0]), Wire.Json))
            .ReadErrorAsync(413, ErrorCode.TooLarge);
        await (await first.Http.PutAsJsonAsync(path, new ApproveDeviceRequest(second.IdentitySignature, new byte[600 * 1024]), Wire.Json))
            .ReadErrorAsync(413, ErrorCode.TooLarge);
        await ApproveAsync(first, second, transfer);
        var seal = $"/v1/devices/{second.Id}/sealed-identity";
        await (await first.Http.DeleteAsync(seal)).ReadErrorAsync(403, ErrorCode.Forbidden);
        Assert.Equal(transfer, (await ListAsync(second)).Single(device => device.Current).SealedIdentity);
        for (var repeat = 0; repeat < 2; repeat++)
        {
            using var confirmed = await second.Http.DeleteAsync(seal);
            Assert.Equal(HttpStatusCode.NoContent, confirmed.StatusCode);
        }

        Assert.Null((await ListAsync(second)).Single(device => device.Current).SealedIdentity);
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from devices where id = @Id and sealed_identity is not null", new { second.Id }));
        await (await anna.Http.DeleteAsync($"/v1/devices/{Guid.NewGuid()}/sealed-identity")).ReadErrorAsync(404, ErrorCode.NotFound);
        var data = await anna.Http.GetFromJsonAsync<System.Text.Json.JsonElement>("/v1/me/data");
        Assert.Equal(2, data.GetProperty("tables").GetProperty("devices").GetArrayLength());
    }

    private static async Task ApproveAsync(TestDevice by, TestDevice device, byte[]? seal = null) =>
        (await by.Http.PutAsJsonAsync($"/v1/devices/{device.Id}/approval", new ApproveDeviceRequest(device.IdentitySignature, seal), Wire.Json))
            .EnsureSuccessStatusCode();
}

public sealed class DeviceTestsOnSqlite(SqliteServer server) : DeviceTests(server);

public sealed class DeviceTestsOnPostgres(PostgresServer server) : DeviceTests(server);
