using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Tests.Auth;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Notifications;

/// <summary>A server, a push service that it may push to, and registered users.</summary>
internal sealed class PushWorld : IAsyncDisposable
{
    public const string Contact = "mailto:operator@example.org";
    private readonly List<TestUser> users = [];
    private readonly List<ReceivedPush> seen = [];
    private readonly List<ReceivedPush> early = [];
    private int fences;

    private PushWorld(TestPushService service, TestServer server, string[] arguments) => (Service, Server, Arguments) = (service, server, arguments);

    public TestPushService Service { get; }

    public TestServer Server { get; }

    public string[] Arguments { get; }

    /// <summary>Whether the server's time passes faster while the test waits for a push.</summary>
    public bool Hurries { get; set; }

    /// <summary>The pushes read so far, without those of fences.</summary>
    public IEnumerable<ReceivedPush> Seen => seen;

    public static async Task<PushWorld> StartAsync(TestServer shared)
    {
        var service = await TestPushService.StartAsync();
        // One push at a time, so that a later push implies that all earlier ones are done.
        string[] arguments = [$"--Push:AllowedOrigins:0={service.Origin}", $"--Push:Contact={Contact}", "--Push:Concurrency=1"];
        return new PushWorld(service, await shared.DedicatedAsync(arguments), arguments);
    }

    /// <summary>A user whose pushes go to this path.</summary>
    public async Task<TestUser> AddAsync(string path)
    {
        var user = await Server.SignUpAsync();
        users.Add(user);
        using var registered = await user.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest(Service.Origin + path), Wire.Json);
        registered.EnsureSuccessStatusCode();
        return user;
    }

    public async Task SendAsync(TestUser sender, Room room)
    {
        using var sent = await Server.Http.SendAsync(
            HttpMethod.Post, $"/v1/rooms/{room.Id}/messages", sender.Tokens.AccessToken, new SendRequest(room.Id, Guid.NewGuid(), [1, 2, 3]));
        sent.EnsureSuccessStatusCode();
    }

    /// <summary>The next push to this path.</summary>
    public async Task<ReceivedPush> NextAsync(string path)
    {
        if (early.Find(push => push.Path == path) is { } known)
        {
            early.Remove(known);
            return known;
        }

        for (var push = await TakeAsync(); ; push = await TakeAsync())
        {
            if (push.Path == path)
                return push;
            early.Add(push);
        }
    }

    /// <summary>Waits until all pushes of the messages sent so far are done.</summary>
    public async Task FenceAsync()
    {
        var sender = await Server.SignUpAsync();
        users.Add(sender);
        // Members read together are pushed in any order. A message sent after the first push has arrived is read later.
        for (var i = 0; i < 2; i++)
        {
            var path = $"/fence-{++fences}";
            await SendAsync(sender, await sender.CreateRoomAsync([await AddAsync(path)]));
            for (var push = await ArriveAsync(); push.Path != path; push = await ArriveAsync())
            {
                seen.Add(push);
                early.Add(push);
            }
        }
    }

    /// <summary>Waits until the server has noticed that the user's connections are closed.</summary>
    public Task GoneAsync(TestUser user) => UntilAsync(() => Task.FromResult(Server.Services.GetRequiredService<Subscribers>().Of(user.Id).IsEmpty));

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await condition())
            await Task.Delay(20, patience.Token);
    }

    private async Task<ReceivedPush> ArriveAsync()
    {
        var arriving = Service.NextAsync();
        while (Hurries && !arriving.IsCompleted)
            await Server.Time.PassAsync(TimeSpan.FromMilliseconds(500));
        return await arriving;
    }

    private async Task<ReceivedPush> TakeAsync()
    {
        var push = await ArriveAsync();
        seen.Add(push);
        return push;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var user in users)
            await user.DisposeAsync();
        await Server.DisposeAsync();
        await Service.DisposeAsync();
    }
}
