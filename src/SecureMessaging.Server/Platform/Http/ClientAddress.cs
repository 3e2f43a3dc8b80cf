using System.Net;
using System.Net.Sockets;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>
/// An address as a key of limits: all of IPv4, the first 64 bits of IPv6, because a host usually controls a whole network of 64 bits.
/// </summary>
internal static class ClientAddress
{
    private const int NetworkBytes = 8;

    /// <summary>The client's address, also behind a proxy of <c>Server:KnownProxies</c>.</summary>
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
