using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace SecureMessaging.Server.Platform.Diagnostics;

/// <summary>A page for developers at the management address.</summary>
/// <remarks>Never on the app's origin: a script there can read the keys of a user of the app in the same browser.</remarks>
internal interface IManagementPage
{
    /// <summary>The page's path. Null: switched off, or not part of this build.</summary>
    string? Path { get; }

    void Map(IEndpointRouteBuilder app);
}

/// <summary>The API's address for a page at the management address: the API's port, on the host of the page's own address.</summary>
internal sealed class ApiAddress(IServer server)
{
    public string For(HttpRequest request)
    {
        var host = request.Host.Host;
        // The host becomes part of the page.
        if (Uri.CheckHostName(host.Trim('[', ']')) == UriHostNameType.Unknown)
            host = IPAddress.Loopback.ToString();
        var address = BindingAddress.Parse(server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? "http://127.0.0.1");
        return $"{address.Scheme}://{host}:{address.Port}";
    }
}
