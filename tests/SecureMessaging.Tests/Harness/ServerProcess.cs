using System.Diagnostics;

namespace SecureMessaging.Tests.Harness;

/// <summary>The built server as a process, for tests of signals, sudden death and several processes.</summary>
public sealed class ServerProcess(string dataDirectory, string? postgres = null, params string[] arguments) : IAsyncDisposable
{
    private readonly int port = Ports.Take();
    private readonly List<string> output = [];
    private Process? process;

    /// <summary>A shell command, such as a mount, that runs before the server in its own mount namespace.</summary>
    public string? Before { get; init; }

    /// <summary>Additional environment variables.</summary>
    public Dictionary<string, string> Environment { get; } = [];

    public Uri Url => new($"http://127.0.0.1:{port}");

    public int Id => Running.Id;

    public bool HasExited => process?.HasExited ?? true;

    public int ExitCode => process?.ExitCode ?? throw new InvalidOperationException("The server was never started.");

    private Process Running => process ?? throw new InvalidOperationException("The server is not started.");

    /// <summary>Everything printed so far, across all starts.</summary>
    public string[] Output
    {
        get
        {
            lock (output)
                return [.. output];
        }
    }

    /// <summary>Starts the process, always on the same port, and returns at once.</summary>
    public void Launch()
    {
        var start = new ProcessStartInfo(Before is null ? "dotnet" : "unshare")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = Path.GetTempPath(),
        };
        if (Before is not null)
        {
            foreach (var word in new[] { "--user", "--map-root-user", "--mount", "sh", "-c", $"{Before} && exec dotnet \"$@\"", "sh" })
                start.ArgumentList.Add(word);
        }

        start.ArgumentList.Add(Repository.BuiltAssembly("src/SecureMessaging.Server"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["ASPNETCORE_URLS"] = Url.ToString();
        start.Environment["Server__DataDirectory"] = dataDirectory;
        start.Environment["ConnectionStrings__Postgres"] = postgres ?? "";
        start.Environment["Management__Url"] = "";
        start.Environment["RateLimits__Enabled"] = "false";
        foreach (var (name, value) in Environment)
            start.Environment[name] = value;
        process?.Dispose();
        process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Print(line.Data);
        process.ErrorDataReceived += (_, line) => Print(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>Starts the process and returns when it responds.</summary>
    public async Task StartAsync()
    {
        Launch();
        await ReadyAsync();
    }

    public async Task ReadyAsync()
    {
        if (!await ServerStart.AnswersAsync(new Uri(Url, "/v1/limits"), () => HasExited, () => string.Join('\n', Output)))
            throw new InvalidOperationException($"The server exited with {ExitCode}:\n{string.Join('\n', Output)}");
    }

    /// <summary>SIGKILL: no handler runs, nothing is flushed.</summary>
    public async Task KillAsync()
    {
        Running.Kill();
        await ExitedAsync();
    }

    public void Terminate() => Signals.Send(Running, Signals.Terminate);

    public void Pause() => Signals.Send(Running, Signals.Stop);

    public void Resume() => Signals.Send(Running, Signals.Continue);

    public async Task ExitedAsync()
    {
        using var timeout = new CancellationTokenSource(ServerStart.Patience);
        await Running.WaitForExitAsync(timeout.Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (process is null)
            return;
        if (!process.HasExited)
            await KillAsync();
        process.Dispose();
    }

    private void Print(string? line)
    {
        if (line is null)
            return;
        lock (output)
            output.Add(line);
    }
}
