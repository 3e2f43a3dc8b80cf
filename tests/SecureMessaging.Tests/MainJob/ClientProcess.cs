using System.Diagnostics;
using System.Text.Json;
using SecureMessaging.Tests.Client;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.MainJob;

/// <summary>One client of the main job as a process.</summary>
internal sealed class ClientProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly List<string> errors = [];
    private readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int acknowledged;

    public ClientProcess(Job job)
    {
        Job = job;
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.ArgumentList.Add(Repository.BuiltAssembly("tests/SecureMessaging.Tests.Client"));
        process = new Process { StartInfo = start, EnableRaisingEvents = true };
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) =>
        {
            lock (errors)
                errors.Add(line.Data ?? "");
        };
        process.Exited += (_, _) => ready.TrySetException(new InvalidOperationException($"{job.Username} ended before it was ready."));
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        Tell(JsonSerializer.Serialize(job));
    }

    public Job Job { get; }

    public Task Ready => ready.Task;

    public int Acknowledged => acknowledged;

    public bool Ended => process.HasExited;

    /// <summary>Its standard error, for failures.</summary>
    public string Complaint
    {
        get
        {
            lock (errors)
                return $"{Job.Username}: {string.Join('\n', errors.TakeLast(5))}".TrimEnd();
        }
    }

    public void Tell(string line) => process.StandardInput.WriteLine(line);

    public async Task EndedWellAsync(CancellationToken cancellationToken)
    {
        try
        {
            await process.WaitForExitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"Still running: {Complaint}");
        }

        Assert.True(process.ExitCode == 0, Complaint);
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }

        process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line == Talk.Ready)
            ready.TrySetResult();
        else if (line?.StartsWith(Talk.Acknowledged, StringComparison.Ordinal) == true)
            acknowledged = int.Parse(line.AsSpan(Talk.Acknowledged.Length));
    }
}
