using System.Globalization;
using System.Net.Sockets;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Faults.Processes;

/// <summary>A Redis of the harness's own, without persistence.</summary>
internal sealed class RedisInstance(string directory) : IAsyncDisposable
{
    private Child? process;

    public int Port { get; } = Ports.Take();

    public Child Process => process ?? throw new InvalidOperationException("Redis is not started.");

    public async Task StartAsync()
    {
        if (process is not null)
            await process.DisposeAsync();
        process = new Child(
            "redis-server", ["--port", Port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--dir", directory, "--save", "",
                "--appendonly", "no"]);
        for (var i = 0; i < 400; i++)
        {
            try
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync("127.0.0.1", Port);
                return;
            }
            catch (SocketException) when (!process.HasExited)
            {
                await Task.Delay(25);
            }
        }

        throw new TimeoutException($"Redis did not come up: {process.Output}");
    }

    public void Send(Signal signal) => process?.Send(signal);

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
            await process.DisposeAsync();
    }
}
