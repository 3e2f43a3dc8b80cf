using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Notifications;

/// <summary>
/// Restricts the addresses to which a client's endpoint can make this server connect: public hosts, with TLS, on port 443. The resolved addresses are checked
/// when the connection is opened, and only they are used, so DNS rebinding has no effect. The operator's own origins are exempt.
/// </summary>
internal sealed class PushAddress(IOptions<PushOptions> options, Limits limits)
{
    private static readonly IPNetwork[] NotPublic =
    [
        .. new[]
        {
            // IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast and reserved.
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
            "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
            "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            // Of global unicast (2000::/3): protocol assignments with Teredo, documentation, 6to4, which hides an IPv4 address.
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(IPNetwork.Parse),
    ];

    private static readonly SemaphoreSlim LookUps = new(4, 4);

    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");

    private readonly HashSet<string> allowedOrigins = options.Value.AllowedOrigins.ToHashSet(StringComparer.Ordinal);

    private readonly HashSet<(string Host, int Port)> allowedHosts =
        [.. options.Value.AllowedOrigins.Select(origin => new Uri(origin)).Select(origin => (origin.IdnHost, origin.Port))];

    /// <summary>
    /// The endpoint in its stored form. Throws for an invalid one. A name is not resolved here: otherwise a client could probe the names of the server's
    /// network.
    /// </summary>
    public string Require(string endpoint)
    {
        if (!options.Value.Enabled)
            throw new ApiException(ErrorCode.Forbidden, "This server does not send pushes.");
        if (endpoint.Length > limits.PushEndpointCharacters)
            throw ApiException.TooLarge("endpoint", limits.PushEndpointCharacters);
        return Read(endpoint)?.AbsoluteUri ?? throw ApiException.Invalid("endpoint must be an https URL of a public host.", "endpoint");
    }

    /// <summary>The URL to push to. Null: pushes to it are not allowed, or no longer allowed.</summary>
    public Uri? Read(string endpoint)
    {
        // A URI is ASCII (RFC 3986 section 1.2.1), and so are the endpoints of browsers. Other characters could later become digits and dots.
        if (!options.Value.Enabled || !Ascii.IsValid(endpoint) || !Uri.TryCreate(endpoint, UriKind.Absolute, out var uri)
            || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
            return null;
        if (allowedOrigins.Contains(uri.GetLeftPart(UriPartial.Authority)))
            return uri;
        if (uri.Scheme != Uri.UriSchemeHttps || uri.Port != 443)
            return null;
        return uri.HostNameType switch
        {
            UriHostNameType.Dns => IsPublicName(uri.IdnHost) ? uri : null,
            UriHostNameType.IPv4 or UriHostNameType.IPv6 => IPAddress.TryParse(uri.DnsSafeHost, out var address) && IsPublic(address) ? uri : null,
            _ => null,
        };
    }

    /// <summary>Connects to the name's current addresses, if all are public.</summary>
    /// <exception cref="PushRefusedException">An address is not public.</exception>
    public async ValueTask<Stream> ConnectAsync(DnsEndPoint target, CancellationToken cancellationToken)
    {
        var addresses = await LookUpAsync(target.Host, cancellationToken);
        if (!allowedHosts.Contains((target.Host, target.Port)) && !Array.TrueForAll(addresses, IsPublic))
            throw new PushRefusedException();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, target.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>At most 4 at a time: a look-up can block a pool thread until the name server replies, even after its caller has given up.</summary>
    private static async Task<IPAddress[]> LookUpAsync(string host, CancellationToken cancellationToken)
    {
        await LookUps.WaitAsync(cancellationToken);
        return await LookUpAndReleaseAsync(host).WaitAsync(cancellationToken);
    }

    private static async Task<IPAddress[]> LookUpAndReleaseAsync(string host)
    {
        try
        {
            return await Dns.GetHostAddressesAsync(host, CancellationToken.None);
        }
        finally
        {
            LookUps.Release();
        }
    }

    public static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        return (address.AddressFamily == AddressFamily.InterNetwork || GlobalUnicast.Contains(address))
            && !Array.Exists(NotPublic, network => network.Contains(address));
    }

    /// <summary>
    /// Names without a dot, and those with these suffixes, are local. The parser does not see an address with a final dot as one, but the resolver does.
    /// </summary>
    private static bool IsPublicName(string host)
    {
        var name = host.TrimEnd('.');
        return name.Contains('.', StringComparison.Ordinal) && !IPAddress.TryParse(name, out _)
            && !Array.Exists([".local", ".localhost", ".internal", ".home.arpa"], suffix => name.EndsWith(suffix, StringComparison.OrdinalIgnoreCase));
    }
}

/// <summary>The name of an endpoint resolves to an address that is not public.</summary>
internal sealed class PushRefusedException() : IOException("The endpoint leads to an address that is not public.");
