using System.Net.Sockets;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>A process with a low limit of open files.</summary>
[Trait("Ring", "Full")]
public sealed class OpenFilesTests
{
    [Fact]
    public async Task More_connections_than_open_files_do_not_end_the_server()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        await using var server = new ServerProcess(directory.Path) { Before = "ulimit -n 1200" };
        await server.StartAsync();
        Assert.Contains(server.Output, line => line.Contains("because of the process's limit of open files", StringComparison.Ordinal));
        var clients = new List<Socket>();
        try
        {
            for (var i = 0; i < 1500; i++)
            {
                var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
                clients.Add(client);
                using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
                try
                {
                    await client.ConnectAsync(server.Url.Host, server.Url.Port, patience.Token);
                }
                catch (Exception exception) when (exception is SocketException or OperationCanceledException)
                {
                    // Rejected, or not accepted yet.
                }
            }

            // It has reached its limit when it closes connections.
            await Eventually.TrueAsync(() => clients.Exists(client => client.Poll(0, SelectMode.SelectRead)));
            Assert.False(server.HasExited, string.Join('\n', server.Output));
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }

        using var http = new HttpClient { BaseAddress = server.Url };
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return (await http.GetAsync("/health/ready")).IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }
}
