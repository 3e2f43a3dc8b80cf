using System.Runtime.Serialization;

namespace SecureMessaging.Protocol;

/// <summary>How serious a line of the server's log is.</summary>
public enum LogSeverity
{
    /// <summary>A severity of a later version. Readers only: the server rejects requests that contain it.</summary>
    [EnumMember(Value = "unknown")] Unknown = -1,

    /// <summary>Each step.</summary>
    [EnumMember(Value = "trace")] Trace = 0,

    /// <summary>Details for finding a fault.</summary>
    [EnumMember(Value = "debug")] Debug = 1,

    /// <summary>Normal operation.</summary>
    [EnumMember(Value = "information")] Information = 2,

    /// <summary>A problem that the server handles.</summary>
    [EnumMember(Value = "warning")] Warning = 3,

    /// <summary>Something failed.</summary>
    [EnumMember(Value = "error")] Error = 4,

    /// <summary>The server cannot continue.</summary>
    [EnumMember(Value = "critical")] Critical = 5,
}

/// <summary>One line of a node's log, redacted on the node that wrote it.</summary>
/// <param name="Node">The node that wrote it.</param>
/// <param name="At">When (UTC).</param>
/// <param name="Severity">How serious it is.</param>
/// <param name="EventId">The event's number in the server's source; 0 when it has none.</param>
/// <param name="EventName">The event's name.</param>
/// <param name="Source">The part of the server that wrote it.</param>
/// <param name="Message">The text with its values. Of a library's event only the name, because libraries log addresses.</param>
/// <param name="Properties">The values in the text, only of the server's own events.</param>
/// <param name="Exception">Types of the exception and its causes, outermost first; never their messages.</param>
/// <param name="Stack">The server's own methods on the exception's stack, innermost first.</param>
public sealed record LogLine(
    string Node, DateTime At, LogSeverity Severity, int EventId, string? EventName, string Source, string Message,
    LogProperty[] Properties, string[]? Exception = null, string[]? Stack = null);

/// <summary>A value in a line.</summary>
/// <param name="Name">Its name in the source.</param>
/// <param name="Value">The value as text, at most 200 characters.</param>
public sealed record LogProperty(string Name, string Value);

/// <summary>Which lines to send. A missing member does not restrict.</summary>
/// <param name="MinimumSeverity">The lowest severity. The server writes no line below its own <c>Logs:Level</c>.</param>
/// <param name="Event">The number or the name of one event.</param>
/// <param name="Node">The name of one node.</param>
public sealed record LogFilter(LogSeverity? MinimumSeverity = null, string? Event = null, string? Node = null);

/// <summary>What administrators call on the hub at <c>/hubs/admin</c>.</summary>
public interface IAdminHub
{
    /// <summary>
    /// Starts to send the lines of all nodes that match the filter, by <see cref="IAdminClient.Logged"/>. Another call replaces the filter.
    /// </summary>
    Task Follow(LogFilter filter);
}

/// <summary>What the hub at <c>/hubs/admin</c> calls on its clients.</summary>
public interface IAdminClient
{
    /// <summary>
    /// Lines in the order of each node. For a slow reader the server drops the oldest lines, and a line with the event <c>LinesDropped</c> has their number.
    /// An empty array: the connection is alive.
    /// </summary>
    Task Logged(LogLine[] lines);
}

/// <summary><c>GET /v1/admin/stats</c>: counts only.</summary>
/// <param name="Node">The node that answered.</param>
/// <param name="Users">Accounts.</param>
/// <param name="DisabledUsers">Accounts that may not sign in.</param>
/// <param name="Admins">Accounts that administer the server.</param>
/// <param name="LiveSessions">Sessions that have not ended.</param>
/// <param name="Rooms">Rooms.</param>
/// <param name="Entries">Entries of all logs, including places whose content has expired.</param>
public sealed record AdminStats(string Node, long Users, long DisabledUsers, long Admins, long LiveSessions, long Rooms, long Entries);
