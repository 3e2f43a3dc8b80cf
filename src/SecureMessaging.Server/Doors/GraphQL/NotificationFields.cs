using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Notifications;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class NotificationFields(NotificationOperations operations) : IRootFields
{
    private const int WriteCost = 50;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Required<AccountSettingsType>("settings", "When messages may wake the caller's devices.")
            .ResolveAsync(async context => await operations.GetAsync(context.Caller(), context.CancellationToken));
        mutation.Required<BooleanGraphType>(
            "changeSettings", "Sets when messages may wake the caller's devices, in every room without settings of its own.").Costs(WriteCost)
            .Argument<NonNullGraphType<NotificationSettingsInput>>("settings", "The new settings.")
            .ResolveDoneAsync(
                context => operations.ChangeAsync(context.Caller(), context.GetArgument<NotificationSettings>("settings"), context.CancellationToken));
        mutation.Required<BooleanGraphType>(
            "changeSettingsOfRoom", "Sets when messages of one room may wake the caller's devices. Replaces the account's settings in that room.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<NotificationSettingsInput>>("settings", "The new settings.")
            .ResolveDoneAsync(context => operations.ChangeRoomAsync(
                context.Caller(), context.Id("roomId"), context.GetArgument<NotificationSettings>("settings"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("resetSettingsOfRoom", "Removes the settings of one room, so that the account's settings apply.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .ResolveDoneAsync(context => operations.ResetRoomAsync(context.Caller(), context.Id("roomId"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("registerPush", "Registers the push endpoint of this session's browser. Pushes have no content.").Costs(WriteCost)
            .Argument<NonNullGraphType<StringGraphType>>("endpoint", "PushSubscription.endpoint: an https URL of a public host.")
            .ResolveDoneAsync(context => operations.RegisterPushAsync(
                context.Caller(), new RegisterPushRequest(context.GetArgument<string>("endpoint")), context.CancellationToken));
        mutation.Required<BooleanGraphType>("unregisterPush", "Removes the push endpoint of this session's browser.").Costs(WriteCost)
            .ResolveDoneAsync(context => operations.UnregisterPushAsync(context.Caller(), context.CancellationToken));
    }
}

internal sealed class NotificationPriorityType() : WireEnumType<NotificationPriority>("The urgency of pushes. HIGH also wakes devices in quiet hours.");

internal sealed class NotificationSettingsType : OutputType<NotificationSettings>
{
    public NotificationSettingsType()
        : base("NotificationSettings", "When messages may wake devices.")
    {
        Value<BooleanGraphType>("muted", settings => settings.Muted, "No message wakes a device.");
        Nullable<IntGraphType>("quietFrom", settings => settings.QuietFrom, "Minute of the day at which quiet hours begin.");
        Nullable<IntGraphType>(
            "quietUntil", settings => settings.QuietUntil, "Minute of the day at which they end. If it is less than quietFrom, they end on the next day.");
        Nullable<StringGraphType>("timeZone", settings => settings.TimeZone, "Their time zone, by its name in the IANA time zone database.");
        Value<NotificationPriorityType>("priority", settings => settings.Priority, "The urgency of pushes.");
    }
}

internal sealed class RoomSettingsOfAccountType : OutputType<KeyValuePair<Guid, NotificationSettings>>
{
    public RoomSettingsOfAccountType()
        : base("NotificationSettingsOfRoom", "The caller's settings for one room.")
    {
        Value<IdGraphType>("roomId", room => room.Key, "The room.");
        Value<NotificationSettingsType>("settings", room => room.Value, "The settings for that room.");
    }
}

internal sealed class PushStatusType : OutputType<PushStatus>
{
    public PushStatusType()
        : base("PushStatus", "Web Push (RFC 8030) on this server and in this session.")
    {
        Nullable<StringGraphType>(
            "publicKey", push => push.PublicKey, "The server's VAPID key (RFC 8292), base64url without padding. Null: the server sends no pushes.");
        Value<BooleanGraphType>("registered", push => push.Registered, "Whether the caller's session has an endpoint.");
    }
}

internal sealed class AccountSettingsType : OutputType<AccountSettings>
{
    private const int UsualRooms = 20;

    public AccountSettingsType()
        : base("AccountSettings", "When messages may wake the caller's devices.")
    {
        Value<NotificationSettingsType>("everywhere", settings => settings.Everywhere, "The settings for every room without settings of its own.");
        Many<RoomSettingsOfAccountType>("rooms", "The settings of single rooms.", UsualRooms).Resolve(context => context.Source.Rooms);
        Value<PushStatusType>("push", settings => settings.Push, "What a client needs to subscribe to Web Push.");
    }
}

internal sealed class NotificationSettingsInput : InputObjectGraphType<NotificationSettings>
{
    public NotificationSettingsInput()
    {
        Name = "NotificationSettingsInput";
        Description = "New settings. quietFrom, quietUntil and timeZone must be given together or not at all.";
        Field<NonNullGraphType<BooleanGraphType>>("muted").Description("No message wakes a device.").DefaultValue(false);
        Field<IntGraphType>("quietFrom").Description($"Minute of the day, 0 to {NotificationRules.MinutesOfDay - 1}, at which quiet hours begin.");
        Field<IntGraphType>("quietUntil").Description("Minute of the day at which they end. If it is less than quietFrom, they end on the next day.");
        Field<StringGraphType>("timeZone").Description("Their time zone, by its name in the IANA time zone database.");
        Field<NonNullGraphType<NotificationPriorityType>>("priority").Description("The urgency of pushes.").DefaultValue(NotificationPriority.Normal);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new NotificationSettings(
        value.Get<bool>("muted"), value.Get<int?>("quietFrom"), value.Get<int?>("quietUntil"), value.Get<string>("timeZone"), value.Get<NotificationPriority>(
            "priority"));
}
