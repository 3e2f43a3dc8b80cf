using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace SecureMessaging.Server.Platform;

/// <summary>A page for developers at the management address. It is never on the origin of the app: what runs there can read the keys of the person who uses the app in this browser.</summary>
internal interface IManagementPage
{
    /// <summary>Its path. Null: it is switched off, or was not built in.</summary>
    string? Path { get; }

    void Map(IEndpointRouteBuilder app);
}

/// <summary>Where a page at the management address finds the API: at the API's port, on the host by which the page was opened.</summary>
internal sealed class ApiAddress(IServer server)
{
    /// <param name="request">The request for the page.</param>
    public string For(HttpRequest request)
    {
        var host = request.Host.Host;
        // It becomes a part of the page.
        if (Uri.CheckHostName(host.Trim('[', ']')) == UriHostNameType.Unknown)
            host = IPAddress.Loopback.ToString();
        var address = BindingAddress.Parse(server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? "http://127.0.0.1");
        return $"{address.Scheme}://{host}:{address.Port}";
    }
}
