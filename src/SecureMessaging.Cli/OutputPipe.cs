using System.Runtime.InteropServices;

namespace SecureMessaging.Cli;

/// <summary>
/// Notices when the reader of standard output is gone, as after <c>secmsg logs | head -1</c>. .NET drops what is written to a closed pipe without an error, so a
/// command without an end would never know.
/// </summary>
internal sealed class OutputPipe : IDisposable
{
    private const int StandardOutput = 1;
    private const short Error = 0x08;
    private const short HangUp = 0x10;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource _closed = new();
    private readonly Timer? _timer;

    public OutputPipe()
    {
        if (Console.IsOutputRedirected && !OperatingSystem.IsWindows())
            _timer = new Timer(_ => Look(), null, Interval, Interval);
    }

    /// <summary>Cancelled when the other end of the pipe is closed.</summary>
    public CancellationToken Closed => _closed.Token;

    public void Dispose()
    {
        _timer?.Dispose();
        _closed.Dispose();
    }

    private void Look()
    {
        var descriptor = new PollDescriptor { Descriptor = StandardOutput };
        if (Poll(ref descriptor, 1, 0) <= 0 || (descriptor.Happened & (Error | HangUp)) == 0)
            return;
        try
        {
            _closed.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The command has ended by itself in this moment.
        }
    }

    // poll(2): asks for nothing, so that only errors are reported.
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
