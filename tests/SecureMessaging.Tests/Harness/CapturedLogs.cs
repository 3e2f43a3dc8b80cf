using System.Collections;
using Microsoft.Extensions.Logging;

namespace SecureMessaging.Tests.Harness;

/// <summary>Everything a server logged, one rendered text for each event: level, event id, message and the whole exception.</summary>
public sealed class CapturedLogs : ILoggerProvider, IReadOnlyCollection<string>
{
    private readonly List<string> lines = [];

    public int Count
    {
        get
        {
            lock (lines)
                return lines.Count;
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    /// <summary>A copy, so that a test may read while the server writes.</summary>
    public IEnumerator<string> GetEnumerator()
    {
        lock (lines)
            return lines.ToList().GetEnumerator();
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
    }

    private void Add(string line)
    {
        lock (lines)
            lines.Add(line);
    }

    private sealed class Logger(CapturedLogs logs, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            logs.Add($"{logLevel} {category}[{eventId.Id}] {formatter(state, exception)}{(exception is null ? "" : " " + exception)}");
    }
}
