using System.Net;
using System.Net.Sockets;

namespace SecureMessaging.Server.Limiting;

/// <summary>An address as limits count it: IPv4 as it is, of IPv6 the first 64 bits, because whoever has one address of such a network has them all.</summary>
internal static class ClientAddress
{
    private const int NetworkBytes = 8;

    /// <summary>Of the client, also behind a proxy that <c>Server:KnownProxies</c> names.</summary>
    public static Guid Of(HttpContext context) => Of(context.Connection.RemoteIpAddress);

    public static Guid Of(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        if (address is null)
            return Guid.Empty;
        if (address.AddressFamily == AddressFamily.InterNetworkV6 && !address.IsIPv4MappedToIPv6)
        {
            address.TryWriteBytes(bytes, out _);
            bytes[NetworkBytes..].Clear();
        }
        else
        {
            address.MapToIPv6().TryWriteBytes(bytes, out _);
        }

        return new Guid(bytes);
    }
}
