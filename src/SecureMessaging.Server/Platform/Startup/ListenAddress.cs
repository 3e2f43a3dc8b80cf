using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>Checks listen addresses strictly. The framework takes unreadable ones as a host name and listens on all addresses, on port 80.</summary>
internal static class ListenAddress
{
    public static void Check(string setting, string addresses, bool hasCertificate)
    {
        var given = addresses.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        // Without an address the framework would choose its own.
        foreach (var address in given.Length == 0 ? [addresses.Trim()] : given)
        {
            var scheme = Array.Find(["http://", "https://"], known => address.StartsWith(known, StringComparison.OrdinalIgnoreCase));
            if (scheme is null || !IsPlace(address[scheme.Length..]))
            {
                throw new StartException(
                    $"{setting} has \"{address}\", and takes addresses such as http://127.0.0.1:5080, http://[::1]:5080, http://localhost:5080, "
                    + "http://*:5080 (all addresses of the machine) or http://unix:/run/sm.sock, separated by semicolons.");
            }

            if (scheme == "https://" && !hasCertificate)
            {
                throw new StartException(
                    $"{setting} has {address}, and there is no certificate: set Kestrel:Certificates:Default:Path and KeyPath (PEM), "
                    + "or listen on http:// behind a proxy with TLS.");
            }
        }
    }

    private static bool IsPlace(string place)
    {
        if (place.StartsWith("unix:/", StringComparison.OrdinalIgnoreCase) || place.StartsWith("pipe:/", StringComparison.OrdinalIgnoreCase))
            return true;
        place = place.TrimEnd('/');
        var (host, port) = place.LastIndexOf(':') is var colon and > 0 && !place.EndsWith(']') ? (place[..colon], place[(colon + 1)..]) : (place, "80");
        return ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out _)
            && (host is "*" or "+" || string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase) || IsAddress(host));
    }

    // The runtime also reads 1 and 127.1 as addresses.
    private static bool IsAddress(string host) => host is ['[', .. var inner, ']']
        ? IPAddress.TryParse(inner, out var six) && six.AddressFamily == AddressFamily.InterNetworkV6
        : host.Count(character => character == '.') == 3
            && IPAddress.TryParse(host, out var four) && four.AddressFamily == AddressFamily.InterNetwork;
}
