using System.CommandLine;
using System.Text.Json;
using SecureMessaging.Protocol;
using Spectre.Console;

namespace SecureMessaging.Cli;

/// <summary>The live logs of all nodes: coloured on a terminal, one JSON object a line in a pipe.</summary>
internal static class LogsCommand
{
    public static Command Create()
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Show lines as they are written. Always on: earlier lines are not stored." };
        var level = new Option<LogSeverity?>("--level") { Description = "The lowest severity: trace, debug, information, warning, error, critical." };
        level.AcceptOnlyFromAmong(StringComparer.OrdinalIgnoreCase,
            [.. WireEnums.Known<LogSeverity>().Select(severity => severity.ToString().ToLowerInvariant())]);
        var name = new Option<string?>("--event") { Description = "One event, by number or name." };
        var node = new Option<string?>("--node") { Description = "One node." };
        var command = new Command("logs", "Watch the logs of all nodes. Takes an administrator of the server.") { follow, level, name, node };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            await using var client = await Profile.Of(parsed).OpenAsync(cancellationToken);
            var filter = new LogFilter(parsed.GetValue(level), parsed.GetValue(name), parsed.GetValue(node));
            await foreach (var line in client.Admin.FollowLogsAsync(filter, Tell, cancellationToken))
            {
                if (Console.IsOutputRedirected)
                    Console.WriteLine(JsonSerializer.Serialize(line, Wire.Json));
                else
                    Show(line);
            }
        });
        return command;
    }

    private static void Tell(bool connected) => Console.Error.WriteLine(connected ? "(following)" : "(connection lost; reconnecting)");

    private static void Show(LogLine line)
    {
        var local = DateTime.SpecifyKind(line.At, DateTimeKind.Utc).ToLocalTime();
        AnsiConsole.MarkupLine(
            $"[dim]{local:HH:mm:ss.fff}[/] [{Colour(line.Severity)}]{Short(line.Severity)}[/] [blue]{Safe(line.Node)}[/] "
            + $"[dim]{line.EventId}[/] {Safe(line.Message)}");
        if (line.Exception is { Length: > 0 } types)
            AnsiConsole.MarkupLine($"             [red]{Safe(string.Join(" ← ", types))}[/]");
        foreach (var method in line.Stack ?? [])
            AnsiConsole.MarkupLine($"             [dim]at {Safe(method)}[/]");
    }

    private static string Safe(string text) => Markup.Escape(SafeText.Neutralise(text));

    private static string Short(LogSeverity severity) => severity switch
    {
        LogSeverity.Trace => "TRC",
        LogSeverity.Debug => "DBG",
        LogSeverity.Information => "INF",
        LogSeverity.Warning => "WRN",
        LogSeverity.Error => "ERR",
        LogSeverity.Critical => "CRT",
        _ => "???",
    };

    private static string Colour(LogSeverity severity) => severity switch
    {
        LogSeverity.Trace or LogSeverity.Debug => "dim",
        LogSeverity.Information => "green",
        LogSeverity.Warning => "yellow",
        _ => "bold red",
    };
}
