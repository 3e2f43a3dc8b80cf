using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class RoomKindType() : WireEnumType<RoomKind>("Group or direct.");

internal sealed class RoomRoleType() : WireEnumType<RoomRole>("What a member may do in a room.");

internal sealed class RoomMemberType : OutputType<RoomMember>
{
    public RoomMemberType()
        : base("RoomMember", "One member of a room.")
    {
        Value<IdGraphType>("userId", member => member.UserId, "The account.");
        Value<StringGraphType>("username", member => member.Username, "Its username.");
        Value<RoomRoleType>("role", member => member.Role, "Its role in the room.");
    }
}

internal sealed class RoomSettingsType : OutputType<RoomSettings>
{
    public RoomSettingsType()
        : base("RoomSettings", "The settings of a room, which its admins may change.")
    {
        Nullable<Base64Type>("name", settings => settings.Name, "Opaque to the server.");
        Nullable<IntGraphType>("timeToLiveSeconds", settings => settings.TimeToLiveSeconds, "Default time to live of entries. Null: they do not expire.");
    }
}

internal sealed class RoomType : OutputType<Room>
{
    /// <summary>Entries of a page without first and last.</summary>
    private const int UsualPage = 50;

    public RoomType(RosterStore roster, LogWindows windows)
        : base("Room", "A room from the caller's view.")
    {
        Value<IdGraphType>("id", room => room.Id, "The room's id.");
        Value<RoomKindType>("kind", room => room.Kind, "Group or direct.");
        Value<RoomSettingsType>("settings", room => new RoomSettings(room.Name, room.TimeToLiveSeconds), "Its settings, which admins may change.");
        Value<BooleanGraphType>("visible", room => room.Visible, "Whether entries carry their sender.");
        Value<DateTimeGraphType>("createdAt", room => room.CreatedAt, "The day of creation (UTC).");
        Value<StringGraphType>("scheme", room => room.Scheme, "Its encryption scheme.");
        Value<LongType>("epoch", room => room.Epoch, "The MLS epoch, 0 in rooms of other schemes.");
        Value<IntGraphType>("generation", room => room.Generation, "The number of resets of its MLS group.");
        Nullable<Base64Type>(
            "founding",
            room => room.Founding,
            "The signed object from which the room's id is computed. Null: another scheme, or an account that it names was erased.");
        Value<RoomRoleType>("role", room => room.Role, "The caller's role.");
        Value<LongType>("headSeq", room => room.HeadSeq, "Seq of the newest entry.");
        Value<LongType>("firstSeq", room => room.FirstSeq, "Seq of the oldest entry that the caller can still read. headSeq + 1: there is none.");
        Value<LongType>("deliveredSeq", room => room.DeliveredSeq, "The caller's delivery cursor.");
        Value<LongType>("unread", room => room.Unread, "Entries after the delivery cursor.");
        Many<RoomMemberType>("members", "The members of the room, in the order of joining.", 20).Resolve(context =>
        {
            var caller = context.Caller();
            return context.Request()
                .BatchLoader<Guid, RoomMember[]>(nameof(roster), (ids, cancellationToken) => roster.ListAsync(caller, ids, cancellationToken))
                .Load(context.Source.Id, () => throw ApiException.NotFound());
        });
        Required<LogConnectionType>(
            "log", "The room's log, oldest first. Cursors are seqs. Without first and last: the first 50 entries. A page may be shorter than requested.")
            .Costs(5, UsualPage)
            .Argument<IntGraphType>("first", "The number of entries from the beginning.")
            .Argument<StringGraphType>("after", "Only entries after this cursor.")
            .Argument<IntGraphType>("last", "The number of entries from the end.")
            .Argument<StringGraphType>("before", "Only entries before this cursor.")
            .Resolve(context =>
            {
                var (caller, range) = (context.Caller(), Range(context));
                return context.Request()
                    .BatchLoader<Guid, LogWindow>(range, (ids, cancellationToken) => windows.ReadAsync(caller, ids, range, cancellationToken))
                    .Load(context.Source.Id, () => throw ApiException.NotFound());
            });
    }

    private static LogRange Range(IResolveFieldContext context)
    {
        var (first, last) = (context.GetArgument<int?>("first"), context.GetArgument<int?>("last"));
        if (first is not null && last is not null)
            throw ApiException.Invalid("first and last must not be given together.", "first", "last");
        var count = last ?? first ?? UsualPage;
        if (count < 1)
            throw ApiException.Invalid($"{(last is null ? "first" : "last")} must be at least 1.", last is null ? "first" : "last");
        return new LogRange(Cursor(context, "after") ?? 0, Cursor(context, "before") ?? Positions.Most, count, last is not null);
    }

    private static long? Cursor(IResolveFieldContext context, string name) => context.GetArgument<string?>(name) is not { } given ? null
        : long.TryParse(given, System.Globalization.NumberStyles.None, null, out var seq) && seq <= Positions.Most ? seq
        : throw ApiException.Invalid($"{name} must be a cursor from an earlier page.", name);
}
