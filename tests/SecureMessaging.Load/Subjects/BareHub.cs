using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace SecureMessaging.Load.Subjects;

/// <summary>
/// A SignalR hub as a team writes it first: the group is an argument, and the message goes to the others in it. No accounts, no storage, no order,
/// no replay.
/// </summary>
internal sealed class BareHub : Hub
{
    public override Task OnConnectedAsync() =>
        Groups.AddToGroupAsync(Context.ConnectionId, Context.GetHttpContext()!.Request.Query["room"].ToString());

    public Task Send(string room, byte[] payload) => Clients.OthersInGroup(room).SendAsync("Received", payload);

    /// <summary>Stands in for the first call of a client that comes back.</summary>
    public string Heads() => Context.ConnectionId;

    public static async Task ServeAsync(string url, string secureUrl, string certificate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls(url, secureUrl);
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(
            https => https.ServerCertificate = X509CertificateLoader.LoadPkcs12FromFile(certificate, null)));
        builder.Services.AddSignalR().AddMessagePackProtocol();
        await using var app = builder.Build();
        app.MapHub<BareHub>("/hub", options => options.Transports = HttpTransportType.WebSockets);
        app.MapGet("/allocated", () => GC.GetTotalAllocatedBytes());
        await app.RunAsync();
    }
}
