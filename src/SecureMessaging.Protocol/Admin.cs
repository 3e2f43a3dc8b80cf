using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>How serious a line of the server's log is.</summary>
public enum LogSeverity
{
    /// <summary>A severity of a later version. Only readers know it: a request that carries it is refused.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>Every step.</summary>
    [EnumMember(Value = "trace")] Trace = 0,

    /// <summary>For whoever looks for a fault.</summary>
    [EnumMember(Value = "debug")] Debug = 1,

    /// <summary>What normally happens.</summary>
    [EnumMember(Value = "information")] Information = 2,

    /// <summary>Something is amiss and the server copes.</summary>
    [EnumMember(Value = "warning")] Warning = 3,

    /// <summary>Something failed.</summary>
    [EnumMember(Value = "error")] Error = 4,

    /// <summary>The server cannot go on.</summary>
    [EnumMember(Value = "critical")] Critical = 5,
}

/// <summary>One line of a node's log, redacted on the node that wrote it.</summary>
/// <param name="Node">The node that wrote it.</param>
/// <param name="At">When (UTC).</param>
/// <param name="Severity">How serious it is.</param>
/// <param name="EventId">The event's number in the server's source; 0 when it has none.</param>
/// <param name="EventName">The event's name.</param>
/// <param name="Source">The part of the server that wrote it.</param>
/// <param name="Message">The text with its values; of a library's event nothing but its name, because libraries log addresses.</param>
/// <param name="Properties">The values in the text, of the server's own events alone.</param>
/// <param name="Exception">Types of the exception and of what caused it, outermost first; never their messages.</param>
/// <param name="Stack">The server's own methods on the exception's stack, innermost first.</param>
public sealed record LogLine(
    string Node, DateTime At, LogSeverity Severity, int EventId, string? EventName, string Source, string Message,
    LogProperty[] Properties, string[]? Exception = null, string[]? Stack = null);

/// <summary>A value in a line.</summary>
/// <param name="Name">Its name in the source.</param>
/// <param name="Value">The value as text, at most 200 characters.</param>
public sealed record LogProperty(string Name, string Value);

/// <summary>Which lines to send; what is not given does not restrict.</summary>
/// <param name="MinimumSeverity">This serious or more. Below the server's own <c>Logs:Level</c> nothing is written at all.</param>
/// <param name="Event">The number or the name of one event.</param>
/// <param name="Node">The name of one node.</param>
public sealed record LogFilter(LogSeverity? MinimumSeverity = null, string? Event = null, string? Node = null);

/// <summary>What administrators call on the hub at <c>/hubs/admin</c>.</summary>
public interface IAdminHub
{
    /// <summary>From now on sends the lines of all nodes that pass the filter, as <see cref="IAdminClient.Logged"/>. A further call replaces the filter.</summary>
    Task Follow(LogFilter filter);
}

/// <summary>What the hub at <c>/hubs/admin</c> calls on its clients.</summary>
public interface IAdminClient
{
    /// <summary>
    /// Lines in the order of each node. For a reader who is too slow the oldest are dropped and a line of the event <c>LinesDropped</c> says how many.
    /// No lines: a sign of life.
    /// </summary>
    Task Logged(LogLine[] lines);
}

/// <summary><c>GET /v1/admin/stats</c>: counts and nothing else.</summary>
/// <param name="Node">The node that answered.</param>
/// <param name="Users">Accounts.</param>
/// <param name="DisabledUsers">Those that may not sign in.</param>
/// <param name="Admins">Those that administer the server.</param>
/// <param name="LiveSessions">Sessions that go on.</param>
/// <param name="Rooms">Rooms.</param>
/// <param name="Entries">Entries of all logs, with the places of expired ones.</param>
public sealed record AdminStats(string Node, long Users, long DisabledUsers, long Admins, long LiveSessions, long Rooms, long Entries);
