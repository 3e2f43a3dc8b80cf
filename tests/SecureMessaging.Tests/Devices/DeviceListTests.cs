using System.Net.Http.Json;
using NSec.Cryptography;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Devices;

/// <summary>The chain of signed device lists of an account.</summary>
public abstract class DeviceListTests(TestServer server)
{
    [Fact]
    public async Task Lists_form_a_chain_that_every_signed_in_user_can_read()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var room = await ben.CreateMlsRoomAsync(anna);
        var hub = await ben.ConnectAsync(messagePack: true);
        var (phone, laptop) = (ListedKeys.New(), ListedKeys.New(since: 2));
        var first = ListContent.First(anna, phone);
        var second = first.Next(reason: 2) with { Devices = [phone, laptop] };
        var third = second.Next(reason: 3) with { Devices = [laptop], Signer = laptop };
        foreach (var list in new[] { first, second, third })
        {
            for (var repeat = 0; repeat < 2; repeat++)
                Assert.Equal((long)list.Number, (await (await PublishAsync(anna, list.Encode())).ReadAsync<StoredDeviceList>()).Number);
        }

        var entries = await hub.WaitAsync(room.Id, entries => entries.Length == 3);
        Assert.All(entries, entry => Assert.Equal((EntryKind.DevicesChanged, anna.Id), (entry.Kind, entry.UserId!.Value)));
        // Ed25519 signatures are deterministic: encoding again gives the same bytes.
        byte[][] stored = [first.Encode(), second.Encode(), third.Encode()];
        Assert.Equal(stored, (await ListsAsync(ben, anna)).Lists);
        var page = await ListsAsync(ben, anna, after: 1);
        Assert.Equal((3L, 2), (page.Newest, page.Lists.Length));
        Assert.Equal(stored[1], page.Lists[0]);
        Assert.Empty((await ListsAsync(ben, anna, after: 3)).Lists);
        Assert.Equal(0, (await ListsAsync(anna, ben)).Newest);
        await (await ben.Http.GetAsync($"/v1/users/{Guid.NewGuid()}/device-lists")).ReadErrorAsync(404, ErrorCode.NotFound);
        await (await ben.Http.GetAsync($"/v1/users/{anna.Id}/device-lists?after=-1")).ReadErrorAsync(400, ErrorCode.Invalid);
    }

    [Fact]
    public async Task A_list_that_does_not_continue_the_newest_one_learns_its_number()
    {
        await using var anna = await server.SignUpAsync();
        var (phone, laptop) = (ListedKeys.New(), ListedKeys.New(since: 2));
        var first = ListContent.First(anna, phone);
        var second = first.Next(reason: 2) with { Devices = [phone, laptop] };
        Assert.Equal(0, await ConflictAsync(second));
        await (await PublishAsync(anna, first.Encode())).ReadAsync<StoredDeviceList>();
        Assert.Equal(1, await ConflictAsync(first with { Devices = [ListedKeys.New()] }));
        Assert.Equal(1, await ConflictAsync(second with { Number = 3 }));
        Assert.Equal(1, await ConflictAsync(second with { Previous = new byte[32] }));
        // Two devices publish at the same time: one of them wins.
        var rival = second with { Devices = [phone, ListedKeys.New(since: 2)] };
        var replies = await Task.WhenAll(PublishAsync(anna, second.Encode()), PublishAsync(anna, rival.Encode()));
        Assert.Equal([200, 409], replies.Select(reply => (int)reply.StatusCode).Order());
        Assert.Equal(2, (await ListsAsync(anna, anna)).Newest);

        async Task<long?> ConflictAsync(ListContent list) =>
            (await (await PublishAsync(anna, list.Encode())).ReadErrorAsync(409, ErrorCode.Conflict)).CurrentNumber;
    }

    [Fact]
    public async Task A_list_that_clients_would_refuse_is_not_stored()
    {
        await using var anna = await server.SignUpAsync();
        await using var ben = await server.SignUpAsync();
        var (phone, laptop) = (ListedKeys.New(), ListedKeys.New(since: 2));
        var first = ListContent.First(anna, phone);
        using var thief = TestDevice.NewKey();
        await RefusedAsync([]);
        await RefusedAsync(first.Encode()[..^1]);
        await RefusedAsync([.. first.Encode(), 0]);
        await RefusedAsync((first with { User = ben.Id }).Encode());
        await RefusedAsync((first with { Username = ben.Username }).Encode());
        await RefusedAsync((first with { Number = 0 }).Encode());
        await RefusedAsync((first with { Number = ulong.MaxValue }).Encode());
        await RefusedAsync((first with { Reason = 2 }).Encode());
        await RefusedAsync((first with { Devices = [phone with { Signing = thief }] }).Encode());
        await RefusedAsync((first with { SignedBy = thief }).Encode());
        await RefusedAsync((first with { Before = thief }).Encode());
        await RefusedAsync((first with { Devices = [.. Enumerable.Range(0, 65).Select(_ => ListedKeys.New())] }).Encode());
        var large = await (await PublishAsync(anna, new byte[Limits.Default.DeviceListBytes + 1])).ReadErrorAsync(413, ErrorCode.TooLarge);
        Assert.Equal("#/list", large.Errors!.Single().Pointer);
        await (await PublishAsync(anna, first.Encode())).ReadAsync<StoredDeviceList>();

        var second = first.Next(reason: 2) with { Devices = [phone, laptop] };
        await RefusedAsync((second with { Signer = laptop }).Encode());
        await RefusedAsync((second with { SignedBy = laptop.Signing }).Encode());
        await RefusedAsync((second with { Devices = [phone, laptop with { Since = 1 }] }).Encode());
        await RefusedAsync((second with { Identity = thief }).Encode());
        // Another identity needs the signature of the one before, and a device that the list before has.
        var stolen = first.Next(reason: 4) with { Identity = thief, Before = first.Identity };
        await RefusedAsync((stolen with { Before = thief }).Encode());
        await RefusedAsync((stolen with { SignedBy = laptop.Signing }).Encode());
        await (await PublishAsync(anna, stolen.Encode())).ReadAsync<StoredDeviceList>();
        Assert.Equal(2, (await ListsAsync(ben, anna)).Newest);

        async Task RefusedAsync(byte[] list)
        {
            var error = await (await PublishAsync(anna, list)).ReadErrorAsync(400, ErrorCode.Invalid);
            Assert.Equal("#/list", error.Errors!.Single().Pointer);
        }
    }

    [Fact]
    public async Task GraphQL_and_the_client_have_the_same_operations()
    {
        await using var anna = await server.SignUpAsync();
        var (phone, laptop) = (ListedKeys.New(), ListedKeys.New(since: 2));
        var first = ListContent.First(anna, phone);
        var second = first.Next(reason: 2) with { Devices = [phone, laptop] };
        const string publish = "mutation($l: Base64!) { publishDeviceList(list: $l) { number } }";
        var published = await anna.Http.AskAsync(publish, new { l = first.Encode() });
        Assert.Equal(1, published.GetProperty("publishDeviceList").GetProperty("number").GetInt64());
        var lost = await anna.Http.ReplyAsync(publish, new { l = (second with { Number = 9 }).Encode() });
        Assert.Equal(1, lost.GetProperty("errors")[0].GetProperty("extensions").GetProperty("currentNumber").GetInt64());

        await using var client = await SecureMessagingClient.SignInAsync(
            anna.Url, anna.Username, anna.Password, new ClientOptions { Cipher = new SharedKeyCipher() });
        Assert.Equal(2, await client.Account.PublishDeviceListAsync(second.Encode()));
        var refused = await Assert.ThrowsAsync<SecureMessagingException>(() => client.Account.PublishDeviceListAsync((second with { Number = 9 }).Encode()));
        Assert.Equal((ErrorCode.Conflict, 2L), (refused.ErrorCode, refused.Error.CurrentNumber!.Value));
        Assert.Equal(second.Encode(), (await client.Account.DeviceListsAsync(anna.Id, after: 1)).Lists.Single());
        var read = (await anna.Http.AskAsync("query($u: ID!) { deviceLists(userId: $u, after: 1) { newest lists } }", new { u = anna.Id }))
            .GetProperty("deviceLists");
        Assert.Equal(second.Encode(), read.GetProperty("lists")[0].GetBytesFromBase64());
    }

    [Fact]
    public async Task Another_identity_without_a_signature_begins_a_new_chain_and_a_signed_one_keeps_it()
    {
        await using var anna = await server.SignUpAsync();
        using var device = await anna.AddDeviceAsync();
        var phone = new ListedKeys(device.Id, device.SignatureKey, device.LinkKey, 1);
        var first = ListContent.First(anna, phone, device.Identity);
        await (await PublishAsync(anna, first.Encode())).ReadAsync<StoredDeviceList>();
        using var renewed = TestDevice.NewKey();
        await (await PublishAsync(anna, (first.Next(reason: 4) with { Identity = renewed, Before = device.Identity }).Encode())).ReadAsync<StoredDeviceList>();
        await ReplaceAsync(renewed);
        Assert.Equal(2, (await ListsAsync(anna, anna)).Newest);
        // The identity key was lost: nothing could sign the next list.
        using var other = TestDevice.NewKey();
        await ReplaceAsync(other);
        Assert.Equal(0, (await ListsAsync(anna, anna)).Newest);
        await (await PublishAsync(anna, ListContent.First(anna, phone, other).Encode())).ReadAsync<StoredDeviceList>();

        async Task ReplaceAsync(Key identity)
        {
            var request = new ReplaceIdentityRequest(
                device.Id, identity.PublicKey.Export(KeyBlobFormat.RawPublicKey), TestDevice.Sign(identity, anna.Id, device.Id, device.PublicKey));
            (await anna.Http.PutAsJsonAsync("/v1/me/identity", request, Wire.Json)).EnsureSuccessStatusCode();
        }
    }

    [Fact]
    public async Task Lists_are_bounded_and_erased_with_the_account()
    {
        await using var node = await server.DedicatedAsync(
            "--Limits:DeviceLists=2", "--RateLimits:Enabled=true", "--RateLimits:DeviceLists:Burst=5", "--RateLimits:DeviceLists:PerMinute=1");
        await using var anna = await node.SignUpAsync();
        var (phone, laptop) = (ListedKeys.New(), ListedKeys.New(since: 2));
        var first = ListContent.First(anna, phone);
        var second = first.Next(reason: 2) with { Devices = [phone, laptop] };
        await (await PublishAsync(anna, first.Encode())).ReadAsync<StoredDeviceList>();
        await (await PublishAsync(anna, second.Encode())).ReadAsync<StoredDeviceList>();
        var third = second.Next(reason: 2) with { Devices = [phone, laptop, ListedKeys.New(since: 3)] };
        await (await PublishAsync(anna, third.Encode())).ReadErrorAsync(413, ErrorCode.TooLarge);
        // A full account can still revoke.
        await (await PublishAsync(anna, (second.Next(reason: 3) with { Devices = [phone] }).Encode())).ReadAsync<StoredDeviceList>();
        await (await PublishAsync(anna, first.Encode())).ReadAsync<StoredDeviceList>();
        Assert.NotNull((await (await PublishAsync(anna, first.Encode())).ReadErrorAsync(429, ErrorCode.RateLimited)).RetryAfterMs);
        Assert.Equal(3, await node.ScalarAsync<long>("select count(*) from device_lists"));
        (await anna.Http.PostAsJsonAsync("/v1/me/delete", new DeleteAccountRequest(anna.Password), Wire.Json)).EnsureSuccessStatusCode();
        Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from device_lists"));
    }

    private static Task<HttpResponseMessage> PublishAsync(TestUser user, byte[] list) =>
        user.Http.PutAsJsonAsync("/v1/me/device-list", new PublishDeviceListRequest(list), Wire.Json);

    private static async Task<DeviceLists> ListsAsync(TestUser by, TestUser of, long after = 0) =>
        (await by.Http.GetFromJsonAsync<DeviceLists>($"/v1/users/{of.Id}/device-lists?after={after}", Wire.Json))!;
}

public sealed class DeviceListTestsOnSqlite(SqliteServer server) : DeviceListTests(server);

public sealed class DeviceListTestsOnPostgres(PostgresServer server) : DeviceListTests(server);
