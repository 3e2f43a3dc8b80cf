using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Messages;

namespace SecureMessaging.Server.GraphQL;

internal sealed class EntryKindType() : WireEnumType<EntryKind>("What an entry of a room's log is.");

internal sealed class LogEntryType : OutputType<LogEntry>
{
    public LogEntryType()
        : base("LogEntry", "One entry of a room's log. Which fields are set follows from its kind.")
    {
        Value<LongType>("seq", entry => entry.Seq, "Contiguous from 1 in each room; the only order there is.");
        Value<EntryKindType>("kind", entry => entry.Kind, "What it is.");
        Value<DateTimeGraphType>("createdAt", entry => entry.CreatedAt, "To the minute (UTC); orders nothing.");
        Nullable<IdGraphType>("id", entry => entry.Id, "The sender's clientMessageId.");
        Nullable<Base64Type>("ciphertext", entry => entry.Ciphertext, "The envelope.");
        Value<LongType>("epoch", entry => entry.Epoch, "MLS epoch.");
        Nullable<IdGraphType>("senderId", entry => entry.SenderId, "In visible rooms: who sent it.");
        Nullable<LongType>("targetSeq", entry => entry.TargetSeq, "Of a retraction: what it takes back.");
        Nullable<IdGraphType>("userId", entry => entry.UserId, "Of a roster change: whom it is about.");
        Nullable<RoomRoleType>("role", entry => entry.Role, "Of a roster change: the role from here on.");
        Nullable<RoomSettingsType>("settings", entry => entry.Settings, "Of a change of settings: the settings from here on.");
        Nullable<DateTimeGraphType>("expiresAt", entry => entry.ExpiresAt, "When the server purges the content (UTC).");
        Nullable<IntGraphType>("generation", entry => entry.Generation, "Of a reset: the generation of the MLS group from here on.");
    }
}

internal sealed class LogEdgeType : OutputType<LogEntry>
{
    public LogEdgeType()
        : base("LogEdge", "An entry and its cursor.")
    {
        Value<StringGraphType>("cursor", entry => entry.Seq.ToString(), "The entry's seq.");
        Value<LogEntryType>("node", entry => entry, "The entry.");
    }
}

internal sealed class LogPageInfoType : OutputType<LogWindow>
{
    public LogPageInfoType()
        : base("PageInfo", "How the log goes on from here.")
    {
        Value<BooleanGraphType>("hasNextPage", window => window.Entries is [.., var last] && last.Seq < window.HeadSeq, "Whether entries follow the last one here.");
        Value<BooleanGraphType>("hasPreviousPage", window => window.Entries is [var first, ..] && first.Seq > window.FirstSeq, "Whether entries that the caller can read precede the first one here.");
        Nullable<StringGraphType>("startCursor", window => window.Entries is [var first, ..] ? first.Seq.ToString() : null, "Of the first entry here.");
        Nullable<StringGraphType>("endCursor", window => window.Entries is [.., var last] ? last.Seq.ToString() : null, "Of the last entry here.");
    }
}

internal sealed class LogConnectionType : OutputType<LogWindow>
{
    public LogConnectionType()
        : base("LogConnection", "A gapless stretch of a room's log (Relay Cursor Connections).")
    {
        Required<ListGraphType<NonNullGraphType<LogEdgeType>>>("edges", "The entries with their cursors, oldest first.").Resolve(context => context.Source.Entries);
        Required<ListGraphType<NonNullGraphType<LogEntryType>>>("nodes", "The entries.").Resolve(context => context.Source.Entries);
        Value<LogPageInfoType>("pageInfo", window => window, "How the log goes on from here.");
        Value<LongType>("headSeq", window => window.HeadSeq, "Seq of the newest entry of the log.");
        Value<LongType>("firstSeq", window => window.FirstSeq, "Seq of the oldest entry that the caller can read. What is before has expired, or stems from before the caller joined, and never comes.");
    }
}

internal sealed class SendAckType : OutputType<SendAck>
{
    public SendAckType()
        : base("SendAck", "The entry is durable and has its place.")
    {
        Value<IdGraphType>("roomId", ack => ack.RoomId, "The room.");
        Value<IdGraphType>("clientMessageId", ack => ack.ClientMessageId, "The send that is acknowledged.");
        Value<LongType>("seq", ack => ack.Seq, "Its place in the room's log.");
        Value<DateTimeGraphType>("createdAt", ack => ack.CreatedAt, "To the minute (UTC).");
        Value<BooleanGraphType>("duplicate", ack => ack.Duplicate, "Whether an earlier attempt had stored it already.");
    }
}

internal sealed class ErrorType : OutputType<ErrorBody>
{
    public ErrorType()
        : base("Error", "Why one of several sends was refused; of an operation the same stands in extensions.")
    {
        Value<ErrorCodeType>("code", error => error.Code, "Which entry of the catalogue.");
        Value<StringGraphType>("message", error => error.Message, "A sentence for a developer.");
        Value<BooleanGraphType>("retryable", error => error.Retryable, "Whether the same request can succeed later.");
        Nullable<IntGraphType>("retryAfterMs", error => error.RetryAfterMs, "Milliseconds to wait before a retry, when the server knows.");
        Nullable<LongType>("currentEpoch", error => error.CurrentEpoch, "The room's epoch, when the epoch is what is wrong.");
        Optional<ListGraphType<NonNullGraphType<FieldErrorType>>>("errors", "Which fields of the input are wrong.").Resolve(context => context.Source.Errors);
    }
}

internal sealed class FieldErrorType : OutputType<FieldError>
{
    public FieldErrorType()
        : base("FieldError", "A part of a request that was refused.")
    {
        Value<StringGraphType>("detail", error => error.Detail, "What is wrong with it.");
        Nullable<StringGraphType>("pointer", error => error.Pointer, "Which: a JSON Pointer as a URI fragment (RFC 6901 section 6).");
    }
}

internal sealed class SendResultType : OutputType<SendResult>
{
    public SendResultType()
        : base("SendResult", "An ack or an error.")
    {
        Nullable<SendAckType>("ack", result => result.Ack, "When it was stored.");
        Nullable<ErrorType>("error", result => result.Error, "When it was not.");
    }
}
