using System.Net.Http.Headers;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary>One cell of the table: a caller with its own session, and its object.</summary>
internal sealed class Cell(Scene scene, string caller, Person person, bool others) : IAsyncDisposable
{
    private bool keepsSession;
    private HttpClient? http;

    public string Caller { get; } = caller;

    public Person Person { get; } = person;

    public Scene Scene { get; } = scene;

    public bool Others { get; } = others;

    public required Grant Grant { get; set; }

    public string? Token { get; set; }

    public Guid RoomId { get; private set; } = Guid.NewGuid();

    /// <summary>An entry of the caller if it may send and its own is requested, otherwise the owner's; in MLS rooms the commit.</summary>
    public long Seq { get; private set; } = 1;

    public RotateDeviceRequest? Rotated { get; set; }

    /// <summary>Of the caller and its session, or the target's.</summary>
    public TestDevice? Device { get; private set; }

    private bool IsMember => Caller is "member" or "admin" or "owner";

    /// <summary>The session has a connection that later cells use.</summary>
    public void KeepSession() => keepsSession = true;

    public async Task PrepareAsync(Operation operation, TestUser owner, TestUser member, TestUser admin, TestUser former)
    {
        if (Calls.NeedsDevice(operation))
            await PrepareDeviceAsync(operation);
        // The door itself rejects these callers, so they need no room: any status other than 401 is wrong.
        if (!Calls.NeedsRoom(operation) || Caller is "anonymous" or "expired" or "audience" or "disabled")
            return;
        if (operation.IsRead && Scene.Readings is { } readings)
        {
            (RoomId, Seq) = readings;
            return;
        }

        await PrepareRoomAsync(Calls.Mls.Contains(operation.Name), owner, member, admin, former);
        if (operation.IsRead)
            Scene.Readings = (RoomId, Seq);
    }

    public async ValueTask DisposeAsync()
    {
        if (Device is not null && Device != Scene.Target.Device)
        {
            await Scene.Server.Database.ExecuteAsync("delete from devices where id = @Id", new { Device.Id }, CancellationToken.None);
            Device.Dispose();
        }

        http?.Dispose();
        // Ends the session without an event.
        if (!keepsSession && Caller != "disabled")
        {
            await Scene.Server.Database.WriteAsync(
                transaction => Scene.Server.Services.GetRequiredService<SessionStore>()
                    .EndAsync(transaction, Person.User.Id, Grant.SessionId, CancellationToken.None),
                CancellationToken.None);
        }
    }

    private async Task PrepareDeviceAsync(Operation operation)
    {
        if (Others)
        {
            Device = Scene.Target.Device;
            return;
        }

        http = new HttpClient { BaseAddress = Scene.Server.Url };
        Device = new TestDevice(Person.User, Person.Identity, http);
        if (Caller is "anonymous" or "disabled" or "expired" or "audience" || operation.Name is "POST /v1/devices" or "mutation registerDevice")
            return;
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        await Device.RegisterAsync();
    }

    private async Task PrepareRoomAsync(bool mls, TestUser owner, TestUser member, TestUser admin, TestUser former)
    {
        var request = TestTrust.Group(owner, member, admin, former, Scene.Target.User);
        using var created = await owner.Http.PostAsJsonAsync(
            "/v1/rooms", mls ? request : request with { Scheme = Schemes.Opaque, Founding = null }, Wire.Json);
        RoomId = (await created.ReadAsync<Room>()).Id;
        using var raised = await owner.Http.PatchAsJsonAsync($"/v1/rooms/{RoomId}/members/{admin.Id}", new ChangeRoleRequest(RoomRole.Admin), Wire.Json);
        raised.EnsureSuccessStatusCode();
        if (mls)
        {
            Seq = (await owner.CommitAsync(RoomId, 0, roster: new RosterChange(Remove: [former.Id]))).Seq;
            return;
        }

        using var removed = await owner.Http.DeleteAsync($"/v1/rooms/{RoomId}/members/{former.Id}");
        removed.EnsureSuccessStatusCode();
        var sender = !IsMember ? owner : Others ? Scene.Target.User : Person.User;
        using var sent = await sender.Http.PostAsJsonAsync($"/v1/rooms/{RoomId}/messages", new SendRequest(RoomId, Guid.NewGuid(), [1]), Wire.Json);
        Seq = (await sent.ReadAsync<SendAck>()).Seq;
    }
}
