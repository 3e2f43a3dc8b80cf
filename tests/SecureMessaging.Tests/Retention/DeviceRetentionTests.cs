using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Retention;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Retention;

public abstract class DeviceRetentionTests(TestServer shared)
{
    [Fact]
    public async Task Handshakes_outlive_a_short_time_to_live()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var request = TestTrust.Group(anna) with { TimeToLiveSeconds = 60 };
        var room = await (await anna.Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json)).ReadAsync<Room>();
        await anna.CommitAsync(room.Id, 0);
        var hub = await anna.ConnectAsync();
        await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), TestMls.Application(room.Id, 1), Epoch: 1));
        await anna.CommitAsync(room.Id, 1);

        server.Time.Advance(TimeSpan.FromDays(29));
        await RunAsync(server);
        anna.Use(await anna.SignInAsync());
        var page = await (await anna.ConnectAsync()).SyncAsync(room.Id);
        Assert.Equal(2, page.FirstSeq);
        Assert.Equal([EntryKind.Commit, EntryKind.Gone, EntryKind.Commit], page.Entries.Select(entry => entry.Kind));
        Assert.All(page.Entries.Where(entry => entry.Kind == EntryKind.Commit), entry => Assert.NotNull(entry.Ciphertext));

        server.Time.Advance(TimeSpan.FromDays(2));
        await RunAsync(server);
        server.Time.Advance(TimeSpan.FromDays(2));
        await RunAsync(server);
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from entries"));
    }

    [Fact]
    public async Task KeyPackages_are_deleted_at_expiry_and_claimed_ones_cannot_be_uploaded_again_before()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        await device.StockUpAsync(3, lastResort: true);
        await ben.ClaimAsync(anna);
        await RunAsync(server);
        Assert.Equal(4, await server.ScalarAsync<long>("select count(*) from key_packages"));
        server.Time.Advance(TimeSpan.FromDays(29));
        await ReturnAsync(device);
        await device.StockUpAsync(1, now: server.Time.GetUtcNow());
        server.Time.Advance(TimeSpan.FromDays(1.5));
        // Expired KeyPackages are not claimed, also before the job runs.
        await ReturnAsync(device);
        Assert.Equal(new KeyPackageStock(1, false, false), await device.StockAsync());
        await RunAsync(server);
        Assert.Equal(1, await server.ScalarAsync<long>("select count(*) from key_packages"));
    }

    [Fact]
    public async Task A_device_unseen_for_long_is_revoked_and_old_Welcomes_are_deleted()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        using var lost = await anna.AddDeviceAsync();
        using var kept = await ben.AddDeviceAsync();
        await kept.StockUpAsync(1);
        var room = await anna.CreateMlsRoomAsync(ben);
        await anna.CommitAsync(room.Id, 0, welcomes: [TestMls.Welcome((await anna.ClaimAsync(ben)).Single().KeyPackage)]);
        server.Time.Advance(TimeSpan.FromDays(50));
        await ReturnAsync(kept);
        await RunAsync(server);
        Assert.Single(await kept.WelcomesAsync());
        Assert.Equal(2, await server.ScalarAsync<long>("select count(*) from devices"));

        server.Time.Advance(TimeSpan.FromDays(42));
        await ReturnAsync(kept);
        await RunAsync(server);
        Assert.Equal([kept.Id], await server.RowsAsync<Guid>("select id from devices"));
        Assert.Empty(await kept.WelcomesAsync());
        Assert.Equal(0, await server.ScalarAsync<long>("select count(*) from welcomes"));
        var keys = (await ben.Http.GetFromJsonAsync<UserKeys>($"/v1/users/{anna.Username}/devices", Wire.Json))!;
        Assert.Equal((null, 0), (keys.IdentityKey, keys.Devices.Length));
        var log = await (await ben.ConnectAsync()).SyncAsync(room.Id);
        Assert.Equal((EntryKind.DevicesChanged, anna.Id), (log.Entries[^1].Kind, log.Entries[^1].UserId!.Value));
        // A revoked device that returns registers again.
        anna.Use(await anna.SignInAsync());
        await lost.RegisterAsync();
    }

    /// <summary>The user signs in again, and the device continues in the new session.</summary>
    private static async Task ReturnAsync(TestDevice device)
    {
        device.User.Use(await device.User.SignInAsync());
        (await device.Http.PutAsync($"/v1/devices/{device.Id}/session", null)).EnsureSuccessStatusCode();
    }

    private static Task RunAsync(TestServer server) => server.Services.GetRequiredService<RetentionService>().RunOnceAsync(CancellationToken.None);
}

public sealed class DeviceRetentionTestsOnSqlite(SqliteServer server) : DeviceRetentionTests(server);

public sealed class DeviceRetentionTestsOnPostgres(PostgresServer server) : DeviceRetentionTests(server);
