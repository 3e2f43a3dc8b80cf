using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace SecureMessaging.Load.Subjects;

/// <summary>
/// What everything is compared with: SignalR as the framework gives it, which receives and sends to the group, and does nothing else.
/// No accounts, no storage, no order, no replay.
/// </summary>
internal sealed class BareHub : Hub
{
    public override Task OnConnectedAsync() => Groups.AddToGroupAsync(Context.ConnectionId, Room);

    public Task Send(byte[] payload) => Clients.Group(Room).SendAsync("Received", payload);

    /// <summary>Stands in for the first call of a client that comes back.</summary>
    public string Heads() => Context.ConnectionId;

    private string Room => Context.GetHttpContext()!.Request.Query["room"].ToString();

    public static async Task ServeAsync(string url)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls(url);
        builder.Services.AddSignalR().AddMessagePackProtocol();
        await using var app = builder.Build();
        app.MapHub<BareHub>("/hub", options => options.Transports = HttpTransportType.WebSockets);
        app.MapGet("/allocated", () => GC.GetTotalAllocatedBytes());
        await app.RunAsync();
    }
}
