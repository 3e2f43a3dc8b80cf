using System.Net;
using System.Net.Sockets;

namespace SecureMessaging.Tests.Harness;

/// <summary>
/// Ports for servers that must come back on the same one. They lie below the range from which the kernel serves outgoing connections
/// (32768 and up on Linux), which could otherwise take the port while the server is down.
/// </summary>
internal static class Ports
{
    private static readonly HashSet<int> Taken = [];

    public static int Take()
    {
        while (true)
        {
            // Not seeded: two test runs on one machine must not meet.
            var port = Random.Shared.Next(20_000, 32_000);
            lock (Taken)
            {
                if (!Taken.Add(port))
                    continue;
            }

            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody else has it.
            }
        }
    }
}
