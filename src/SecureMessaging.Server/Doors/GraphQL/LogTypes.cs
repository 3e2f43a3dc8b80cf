using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class EntryKindType() : WireEnumType<EntryKind>("The kind of an entry of a room's log.");

internal sealed class LogEntryType : OutputType<LogEntry>
{
    public LogEntryType()
        : base("LogEntry", "One entry of a room's log. Its kind determines which fields are set.")
    {
        Value<LongType>("seq", entry => entry.Seq, "Contiguous from 1 in each room. The only order of entries.");
        Value<EntryKindType>("kind", entry => entry.Kind, "The kind.");
        Value<DateTimeGraphType>(
            "createdAt", entry => entry.CreatedAt, "To the minute (UTC), and 1970-01-01 for an entry that is gone. It does not order entries.");
        Nullable<IdGraphType>("id", entry => entry.Id, "The sender's clientMessageId.");
        Nullable<Base64Type>("ciphertext", entry => entry.Ciphertext, "The envelope.");
        Value<LongType>("epoch", entry => entry.Epoch, "MLS epoch.");
        Nullable<IdGraphType>("senderId", entry => entry.SenderId, "In visible rooms: the sender's account.");
        Nullable<LongType>("targetSeq", entry => entry.TargetSeq, "Of a retraction: the seq of the redacted entry.");
        Nullable<IdGraphType>(
            "userId", entry => entry.UserId, "Of a roster change: the account. Of a reset: who sent the reported commit, by the server's word.");
        Nullable<RoomRoleType>("role", entry => entry.Role, "Of a roster change: the new role.");
        Nullable<RoomSettingsType>("settings", entry => entry.Settings, "Of a change of settings: the new settings.");
        Nullable<DateTimeGraphType>("expiresAt", entry => entry.ExpiresAt, "When the server deletes the content (UTC).");
        Nullable<IntGraphType>("generation", entry => entry.Generation, "Of a reset: the new generation of the MLS group.");
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
        : base("PageInfo", "Which entries follow and precede this page.")
    {
        Value<BooleanGraphType>(
            "hasNextPage", window => window.Entries is [.., var last] && last.Seq < window.HeadSeq, "Whether entries follow the last one of this page.");
        Value<BooleanGraphType>(
            "hasPreviousPage", window => window.Entries is [var first, ..] && first.Seq > window.FirstSeq,
            "Whether entries that the caller can read precede the first one of this page.");
        Nullable<StringGraphType>("startCursor", window => window.Entries is [var first, ..] ? first.Seq.ToString() : null, "The cursor of the first entry.");
        Nullable<StringGraphType>("endCursor", window => window.Entries is [.., var last] ? last.Seq.ToString() : null, "The cursor of the last entry.");
    }
}

internal sealed class LogConnectionType : OutputType<LogWindow>
{
    public LogConnectionType()
        : base("LogConnection", "A gapless page of a room's log (Relay Cursor Connections).")
    {
        Required<ListGraphType<NonNullGraphType<LogEdgeType>>>(
            "edges", "The entries with their cursors, oldest first.").Resolve(context => context.Source.Entries);
        Required<ListGraphType<NonNullGraphType<LogEntryType>>>("nodes", "The entries.").Resolve(context => context.Source.Entries);
        Value<LogPageInfoType>("pageInfo", window => window, "Which entries follow and precede this page.");
        Value<LongType>("headSeq", window => window.HeadSeq, "Seq of the newest entry of the log.");
        Value<LongType>(
            "firstSeq", window => window.FirstSeq,
            "Seq of the oldest entry that the caller can read. Earlier entries have expired, or precede the caller's joining.");
    }
}

internal sealed class SendAckType : OutputType<SendAck>
{
    public SendAckType()
        : base("SendAck", "The entry is durable and has its seq.")
    {
        Value<IdGraphType>("roomId", ack => ack.RoomId, "The room.");
        Value<IdGraphType>("clientMessageId", ack => ack.ClientMessageId, "The send that is acknowledged.");
        Value<LongType>("seq", ack => ack.Seq, "Its seq in the room's log.");
        Value<DateTimeGraphType>("createdAt", ack => ack.CreatedAt, "To the minute (UTC). 1970-01-01 if the entry is already gone.");
        Value<BooleanGraphType>("duplicate", ack => ack.Duplicate, "Whether an earlier attempt had stored it already.");
    }
}

internal sealed class ErrorType : OutputType<ErrorBody>
{
    public ErrorType()
        : base("Error", "Why one of several sends was rejected. The error of an operation has the same fields in extensions.")
    {
        Value<ErrorCodeType>("code", error => error.Code, "The code of the catalogue.");
        Value<StringGraphType>("message", error => error.Message, "A sentence for a developer.");
        Value<BooleanGraphType>("retryable", error => error.Retryable, "Whether the same request can succeed later.");
        Nullable<IntGraphType>("retryAfterMs", error => error.RetryAfterMs, "Milliseconds to wait before a retry, if known.");
        Nullable<LongType>("currentEpoch", error => error.CurrentEpoch, "With WrongEpoch and EpochTooOld: the room's epoch.");
        Nullable<LongType>("currentNumber", error => error.CurrentNumber, "With Conflict of a device list: the number of the newest stored list.");
        Optional<ListGraphType<NonNullGraphType<FieldErrorType>>>(
            "errors", "The fields of the input that are wrong.").Resolve(context => context.Source.Errors);
    }
}

internal sealed class FieldErrorType : OutputType<FieldError>
{
    public FieldErrorType()
        : base("FieldError", "A wrong part of a request.")
    {
        Value<StringGraphType>("detail", error => error.Detail, "What is wrong.");
        Nullable<StringGraphType>("pointer", error => error.Pointer, "The part, as a JSON Pointer in a URI fragment (RFC 6901 section 6).");
    }
}

internal sealed class SendResultType : OutputType<SendResult>
{
    public SendResultType()
        : base("SendResult", "An ack or an error.")
    {
        Nullable<SendAckType>("ack", result => result.Ack, "The ack of a stored send.");
        Nullable<ErrorType>("error", result => result.Error, "The error of a rejected send.");
    }
}
