using System.Collections;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace SecureMessaging.Tests.Harness;

/// <summary>All log events of a server, each as its printed line.</summary>
public sealed class CapturedLogs : ILogEventSink, IReadOnlyCollection<string>
{
    private static readonly RenderedCompactJsonFormatter Formatter = new();
    private readonly List<string> lines = [];

    public int Count
    {
        get
        {
            lock (lines)
                return lines.Count;
        }
    }

    public void Emit(LogEvent logEvent)
    {
        using var writer = new StringWriter();
        Formatter.Format(logEvent, writer);
        lock (lines)
            lines.Add(writer.ToString().TrimEnd('\n'));
    }

    /// <summary>Removes all lines, for tests that measure memory.</summary>
    public void Clear()
    {
        lock (lines)
        {
            lines.Clear();
            lines.TrimExcess();
        }
    }

    /// <summary>A copy, so that a test can read while the server writes.</summary>
    public IEnumerator<string> GetEnumerator()
    {
        lock (lines)
            return lines.ToList().GetEnumerator();
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
