using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Messages;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

internal sealed class RoomKindType() : WireEnumType<RoomKind>("How many people a room is for.");

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
        : base("RoomSettings", "What admins of a room may change.")
    {
        Nullable<Base64Type>("name", settings => settings.Name, "Opaque to the server.");
        Nullable<IntGraphType>("timeToLiveSeconds", settings => settings.TimeToLiveSeconds, "Default time to live of entries; null keeps them.");
    }
}

internal sealed class RoomType : OutputType<Room>
{
    /// <summary>What a page holds when nobody says how much it should hold.</summary>
    private const int UsualPage = 50;

    public RoomType(RosterStore roster, LogWindows windows)
        : base("Room", "A room as one of its members sees it.")
    {
        Value<IdGraphType>("id", room => room.Id, "The room's id.");
        Value<RoomKindType>("kind", room => room.Kind, "Group or direct.");
        Value<RoomSettingsType>("settings", room => new RoomSettings(room.Name, room.TimeToLiveSeconds), "What its admins may change.");
        Value<BooleanGraphType>("visible", room => room.Visible, "Whether entries carry their sender.");
        Value<DateTimeGraphType>("createdAt", room => room.CreatedAt, "The day of creation (UTC).");
        Value<StringGraphType>("scheme", room => room.Scheme, "How its members encrypt.");
        Value<LongType>("epoch", room => room.Epoch, "The MLS epoch, 0 in rooms of other schemes.");
        Value<IntGraphType>("generation", room => room.Generation, "How often its MLS group has begun anew.");
        Value<RoomRoleType>("role", room => room.Role, "The caller's role.");
        Value<LongType>("headSeq", room => room.HeadSeq, "Seq of the newest entry.");
        Value<LongType>("firstSeq", room => room.FirstSeq, "Seq of the oldest entry that the caller can still read; headSeq + 1 when none is left.");
        Value<LongType>("deliveredSeq", room => room.DeliveredSeq, "The caller's delivery cursor.");
        Value<LongType>("unread", room => room.Unread, "Entries after the delivery cursor.");
        Many<RoomMemberType>("members", "Who is in the room, in the order of joining.", 20).Resolve(context =>
        {
            var caller = context.Caller();
            return context.Request()
                .Batch<Guid, RoomMember[]>(nameof(roster), (ids, cancellationToken) => roster.ListAsync(caller, ids, cancellationToken))
                .Load(context.Source.Id, () => throw ApiException.NotFound());
        });
        Required<LogConnectionType>("log", "The room's log, oldest first. Cursors are seqs; without first and last, the first 50. A page may be shorter than asked for.")
            .Costs(5, UsualPage)
            .Argument<IntGraphType>("first", "As many from the beginning.")
            .Argument<StringGraphType>("after", "Only after this cursor.")
            .Argument<IntGraphType>("last", "As many from the end.")
            .Argument<StringGraphType>("before", "Only before this cursor.")
            .Resolve(context =>
            {
                var (caller, range) = (context.Caller(), Range(context));
                return context.Request()
                    .Batch<Guid, LogWindow>(range, (ids, cancellationToken) => windows.ReadAsync(caller, ids, range, cancellationToken))
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
        : throw ApiException.Invalid($"{name} must be a cursor that a page gave.", name);
}
