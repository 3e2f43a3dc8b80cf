using System.Net;
using System.Net.Sockets;

namespace SecureMessaging.Tests.Harness;

/// <summary>
/// Ports for servers that must restart on the same one. They are below the kernel's range for outgoing connections (32768 and up on Linux), which
/// could take the port while the server is down. <c>tests/run.sh</c> gives each suite its own range (SECUREMESSAGING_TEST_PORTS=FIRST-LAST), because
/// suites run at the same time.
/// </summary>
internal static class Ports
{
    private static readonly HashSet<int> Taken = [];
    private static readonly int[] Range = [.. (Environment.GetEnvironmentVariable("SECUREMESSAGING_TEST_PORTS") ?? "20000-31999").Split('-').Select(int.Parse)];

    public static int Take()
    {
        while (true)
        {
            // Not seeded: two test runs on one machine must differ.
            var port = Random.Shared.Next(Range[0], Range[1] + 1);
            lock (Taken)
            {
                if (Taken.Count > (Range[1] - Range[0]) * 9 / 10)
                    throw new InvalidOperationException($"Of the ports {Range[0]} to {Range[1]}, {Taken.Count} have been taken.");
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
                // Another process uses it.
            }
        }
    }
}
