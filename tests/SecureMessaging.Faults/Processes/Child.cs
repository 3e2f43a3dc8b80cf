using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace SecureMessaging.Faults.Processes;

internal enum Signal
{
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}

/// <summary>A process that the harness started. It dies with the harness, however that ends, short of a SIGKILL.</summary>
internal sealed class Child : IAsyncDisposable
{
    private const int KeptLines = 200;
    private static readonly ConcurrentDictionary<int, Child> Living = new();
    private readonly Process process;
    private readonly Queue<string> output = new();
    private volatile bool disposed;

    private static volatile bool ending;

    // Since .NET 10 a signal ends a process without ProcessExit, unless a handler is registered.
    private static readonly PosixSignalRegistration[] Registrations =
        [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(signal => PosixSignalRegistration.Create(signal, Exit))];

    static Child() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        ending = true;
        foreach (var child in Living.Values)
            child.Send(Signal.Kill, family: true);
        Scratch.DeleteAll();
        GC.KeepAlive(Registrations);
    };

    public Child(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
            WorkingDirectory = "/tmp",
        };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Print(line.Data);
        process.ErrorDataReceived += (_, line) => Print(line.Data);
        if (ending)
            throw new InvalidOperationException("The harness is ending.");
        process.Start();
        Living[process.Id] = this;
        if (ending)
            Send(Signal.Kill, family: true);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => process.Id;

    /// <summary>Of the process alone, since its start.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            process.Refresh();
            return process.TotalProcessorTime;
        }
    }

    public bool HasExited => disposed || process.HasExited;

    /// <summary>The last lines that it printed.</summary>
    public string Output
    {
        get
        {
            lock (output)
                return string.Join('\n', output);
        }
    }

    public static void Send(int process, Signal signal) => _ = SendSignal(process, (int)signal);

    /// <summary>Signals the process and, as of Postgres, its children.</summary>
    public void Send(Signal signal, bool family = false)
    {
        // Two faults at once may mean the same process.
        if (HasExited)
            return;
        foreach (var id in family ? Children(process.Id) : [])
            _ = SendSignal(id, (int)signal);
        _ = SendSignal(process.Id, (int)signal);
    }

    public void Tell(string line)
    {
        if (HasExited)
            return;
        process.StandardInput.WriteLine(line);
        process.StandardInput.Flush();
    }

    public async Task ExitedAsync(TimeSpan patience)
    {
        if (disposed)
            return;
        using var timeout = new CancellationTokenSource(patience);
        await process.WaitForExitAsync(timeout.Token);
    }

    public async ValueTask DisposeAsync()
    {
        if (disposed)
            return;
        Send(Signal.Kill, family: true);
        await ExitedAsync(TimeSpan.FromSeconds(20));
        Living.TryRemove(process.Id, out _);
        disposed = true;
        process.Dispose();
    }

    private static void Exit(PosixSignalContext context)
    {
        context.Cancel = true;
        // By itself: exiting waits for the handlers of signals.
        new Thread(() => Environment.Exit(1)).Start();
    }

    /// <summary>Runs a command to its end and returns what it printed.</summary>
    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        await using var child = new Child(program, arguments);
        await child.ExitedAsync(TimeSpan.FromSeconds(60));
        return child.process.ExitCode == 0
            ? child.Output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} exited with {child.process.ExitCode}: {child.Output}");
    }

    private void Print(string? line)
    {
        if (line is null)
            return;
        lock (output)
        {
            output.Enqueue(line);
            if (output.Count > KeptLines)
                output.Dequeue();
        }
    }

    private static List<int> Children(int parent)
    {
        var children = new List<int>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), out var id))
                continue;
            try
            {
                var stat = File.ReadAllText(Path.Combine(directory, "stat"));
                if (int.TryParse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], out var itsParent) && itsParent == parent)
                    children.Add(id);
            }
            catch (IOException)
            {
                // It ended while we looked.
            }
        }

        return children;
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int process, int signal);
}
