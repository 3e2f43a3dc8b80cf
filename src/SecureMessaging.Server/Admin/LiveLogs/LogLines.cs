using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Startup;
using Serilog.Events;
using Serilog.Parsing;

namespace SecureMessaging.Server.Admin.LiveLogs;

/// <summary>
/// Turns log events into lines without personal data, before they leave the node. An event of the server keeps only the values that its text names, an event
/// of a library only its name, and an exception only types and the server's own methods.
/// </summary>
internal sealed class LogLines(IOptions<ServerOptions> options)
{
    private const string Own = "SecureMessaging.";
    private const int MaxValue = 200;
    private const int MaxFrames = 12;

    /// <summary>The event that reports dropped lines.</summary>
    private const int DroppedEvent = 6100;

    public string Node => options.Value.NodeName;

    public LogLine Read(LogEvent logEvent)
    {
        var source = Text(logEvent, "SourceContext") ?? "";
        var own = source.StartsWith(Own, StringComparison.Ordinal);
        var (id, name) = Event(logEvent);
        var properties = own ? Properties(logEvent) : [];
        return new LogLine(
            Node, logEvent.Timestamp.UtcDateTime, Severity(logEvent.Level), id, name, source,
            own ? Message(logEvent, properties) : name ?? "An event of a library",
            properties, Types(logEvent.Exception), Stack(logEvent.Exception));
    }

    public static LogLine Dropped(string node, DateTime at, long count) => new(
        node, at, LogSeverity.Warning, DroppedEvent, "LinesDropped", "SecureMessaging.Server.Admin", $"{count} lines were dropped",
        [new LogProperty("Count", count.ToString(CultureInfo.InvariantCulture))]);

    /// <summary>1, or the number of dropped lines that this one reports.</summary>
    public static long Count(LogLine line) => line.EventId == DroppedEvent ? long.Parse(line.Properties[0].Value, CultureInfo.InvariantCulture) : 1;

    public static bool Passes(LogFilter filter, LogLine line) =>
        (filter.MinimumSeverity is not { } least || line.Severity >= least)
        && (filter.Node is not { } node || node == line.Node)
        && (line.EventId == DroppedEvent || filter.Event is not { } wanted
            || wanted == line.EventName || wanted == line.EventId.ToString(CultureInfo.InvariantCulture));

    private static string Message(LogEvent logEvent, LogProperty[] properties) => string.Concat(logEvent.MessageTemplate.Tokens.Select(token => token switch
    {
        PropertyToken property => properties.FirstOrDefault(known => known.Name == property.PropertyName)?.Value ?? "…",
        _ => token.ToString(),
    }));

    /// <summary>Only scalars that the text names. Values that logging scopes add, such as the path of a request, are left out.</summary>
    private static LogProperty[] Properties(LogEvent logEvent) => [.. logEvent.MessageTemplate.Tokens.OfType<PropertyToken>()
        .Select(token => (token.PropertyName, Value: Text(logEvent, token.PropertyName)))
        .Where(property => property.Value is not null)
        .DistinctBy(property => property.PropertyName, StringComparer.Ordinal)
        .Select(property => new LogProperty(property.PropertyName, property.Value!))];

    private static string? Text(LogEvent logEvent, string name)
    {
        if (!logEvent.Properties.TryGetValue(name, out var value) || value is not ScalarValue { Value: not Exception } scalar)
            return null;
        var text = Convert.ToString(scalar.Value, CultureInfo.InvariantCulture) ?? "";
        return text.Length > MaxValue ? text[..MaxValue] : text;
    }

    private static (int Id, string? Name) Event(LogEvent logEvent)
    {
        var (id, name) = (0, default(string));
        if (!logEvent.Properties.TryGetValue("EventId", out var value) || value is not StructureValue structure)
            return (id, name);
        foreach (var property in structure.Properties)
        {
            if (property is { Name: "Id", Value: ScalarValue { Value: int number } })
                id = number;
            else if (property is { Name: "Name", Value: ScalarValue { Value: string text } })
                name = text;
        }

        return (id, name);
    }

    private static LogSeverity Severity(LogEventLevel level) => (LogSeverity)(int)level;

    private static string[]? Types(Exception? exception)
    {
        if (exception is null)
            return null;
        var types = new List<string>();
        for (var cause = exception; cause is not null; cause = cause.InnerException)
            types.Add(cause.GetType().Name);
        return [.. types];
    }

    private static string[]? Stack(Exception? exception) => exception is null ? null : [.. new StackTrace(exception).GetFrames()
        .Select(frame => DiagnosticMethodInfo.Create(frame))
        .Where(method => method?.DeclaringTypeName?.StartsWith(Own, StringComparison.Ordinal) == true)
        .Select(method => $"{method!.DeclaringTypeName}.{method.Name}")
        .Take(MaxFrames)];
}
