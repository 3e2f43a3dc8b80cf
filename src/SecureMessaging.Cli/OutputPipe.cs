using System.Runtime.InteropServices;

namespace SecureMessaging.Cli;

/// <summary>
/// Detects that the reader of standard output has ended, as after <c>secmsg logs | head -1</c>. .NET ignores writes to a closed pipe without an error,
/// so a command without end would not stop.
/// </summary>
internal sealed class OutputPipe : IDisposable
{
    private const int StandardOutput = 1;
    private const short Error = 0x08;
    private const short HangUp = 0x10;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource closed = new();
    private readonly Timer? timer;

    public OutputPipe()
    {
        if (Console.IsOutputRedirected && !OperatingSystem.IsWindows())
            timer = new Timer(_ => Look(), null, Interval, Interval);
    }

    /// <summary>Cancelled when the other end of the pipe is closed.</summary>
    public CancellationToken Closed => closed.Token;

    public void Dispose()
    {
        timer?.Dispose();
        closed.Dispose();
    }

    private void Look()
    {
        var descriptor = new PollDescriptor { Descriptor = StandardOutput };
        if (Poll(ref descriptor, 1, 0) <= 0 || (descriptor.Happened & (Error | HangUp)) == 0)
            return;
        try
        {
            closed.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The command has just ended.
        }
    }

    // poll(2) without events: only errors are reported.
    [DllImport("libc", EntryPoint = "poll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Poll(ref PollDescriptor descriptors, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Wanted;
        public short Happened;
    }
}
