using System.Diagnostics;
using System.Net.Sockets;

namespace SecureMessaging.Tests.Harness;

/// <summary>A Redis of one test, which can be killed, paused and restarted on the same port.</summary>
public sealed class RedisProcess : IAsyncDisposable
{
    private readonly int port = Ports.Take();
    private Process? process;

    public string ConnectionString => $"127.0.0.1:{port}";

    private Process Running => process ?? throw new InvalidOperationException("Redis is not started.");

    public async Task StartAsync()
    {
        var start = new ProcessStartInfo(
            "redis-server", ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", Path.GetTempPath()])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        process = Process.Start(start) ?? throw new InvalidOperationException("redis-server cannot be started; tests/run.sh installs it.");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var socket = new TcpClient();
                await socket.ConnectAsync("127.0.0.1", port);
                return;
            }
            catch (SocketException) when (attempt < 200)
            {
                await Task.Delay(25);
            }
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        Running.Kill();
        await Running.WaitForExitAsync();
        Running.Dispose();
        process = null;
    }

    /// <summary>SIGSTOP: connections stay open without responses.</summary>
    public void Pause() => Signals.Send(Running, Signals.Stop);

    public void Resume() => Signals.Send(Running, Signals.Continue);

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
            await KillAsync();
    }
}
