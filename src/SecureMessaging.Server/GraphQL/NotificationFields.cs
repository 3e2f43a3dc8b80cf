using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Notifications;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Notification settings and push endpoints.</summary>
internal sealed class NotificationFields(SettingsStore settings, PushStore endpoints, PushAddress addresses, PushSender sender) : IRootFields
{
    private const int WriteCost = 50;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Required<AccountSettingsType>("settings", "When messages may wake the caller's devices.")
            .ResolveAsync(async context => (await NotificationEndpoints.GetAsync(context.Caller(), settings, endpoints, sender, context.CancellationToken)).Value);
        mutation.Required<BooleanGraphType>("changeSettings", "Sets when messages may wake the caller's devices, in rooms that have no settings of their own.").Costs(WriteCost)
            .Argument<NonNullGraphType<NotificationSettingsInput>>("settings", "The settings as they shall be.")
            .ResolveAsync(async context =>
            {
                await NotificationEndpoints.SetAsync(context.Caller(), context.GetArgument<NotificationSettings>("settings"), settings, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("changeSettingsOfRoom", "Sets when messages of the room may wake the caller's devices. Stands in for the whole of the settings of everywhere.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<NotificationSettingsInput>>("settings", "The settings as they shall be.")
            .ResolveAsync(async context =>
            {
                var given = context.GetArgument<NotificationSettings>("settings");
                await NotificationEndpoints.SetRoomAsync(context.Caller(), context.Id("roomId"), given, settings, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("resetSettingsOfRoom", "Lets the settings of everywhere hold in the room again.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .ResolveAsync(async context =>
            {
                await NotificationEndpoints.ResetRoomAsync(context.Caller(), context.Id("roomId"), settings, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("registerPush", "Says where this session is woken. What is pushed there has no content.").Costs(WriteCost)
            .Argument<NonNullGraphType<StringGraphType>>("endpoint", "PushSubscription.endpoint: an https URL of a public host.")
            .ResolveAsync(async context =>
            {
                var request = new RegisterPushRequest(context.GetArgument<string>("endpoint"));
                await NotificationEndpoints.RegisterAsync(context.Caller(), request, addresses, endpoints, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("unregisterPush", "This session is not woken any more.").Costs(WriteCost)
            .ResolveAsync(async context =>
            {
                await NotificationEndpoints.UnregisterAsync(context.Caller(), endpoints, context.CancellationToken);
                return true;
            });
    }
}

internal sealed class NotificationPriorityType() : WireEnumType<NotificationPriority>("How much a message may disturb. High wakes devices in quiet hours, too.");

internal sealed class NotificationSettingsType : OutputType<NotificationSettings>
{
    public NotificationSettingsType()
        : base("NotificationSettings", "When messages may wake devices.")
    {
        Value<BooleanGraphType>("muted", settings => settings.Muted, "No message wakes a device.");
        Nullable<IntGraphType>("quietFrom", settings => settings.QuietFrom, "Minute of the day with which quiet hours begin.");
        Nullable<IntGraphType>("quietUntil", settings => settings.QuietUntil, "Minute of the day before which they end; when it is the smaller of the two, on the next day.");
        Nullable<StringGraphType>("timeZone", settings => settings.TimeZone, "The clock by which they go, as the IANA time zone database names it.");
        Value<NotificationPriorityType>("priority", settings => settings.Priority, "How urgent a push is.");
    }
}

internal sealed class RoomSettingsOfAccountType : OutputType<KeyValuePair<Guid, NotificationSettings>>
{
    public RoomSettingsOfAccountType()
        : base("NotificationSettingsOfRoom", "The caller's settings for one room.")
    {
        Value<IdGraphType>("roomId", room => room.Key, "The room.");
        Value<NotificationSettingsType>("settings", room => room.Value, "What holds there.");
    }
}

internal sealed class PushStatusType : OutputType<PushStatus>
{
    public PushStatusType()
        : base("PushStatus", "Web Push (RFC 8030) as this server and this session have it.")
    {
        Nullable<StringGraphType>("publicKey", push => push.PublicKey, "The server's VAPID key (RFC 8292), base64url without padding; null when the server pushes nothing.");
        Value<BooleanGraphType>("registered", push => push.Registered, "Whether the caller's session has an endpoint.");
    }
}

internal sealed class AccountSettingsType : OutputType<AccountSettings>
{
    private const int UsualRooms = 20;

    public AccountSettingsType()
        : base("AccountSettings", "When messages may wake the caller's devices.")
    {
        Value<NotificationSettingsType>("everywhere", settings => settings.Everywhere, "For every room that has none of its own.");
        Many<RoomSettingsOfAccountType>("rooms", "Those of rooms.", UsualRooms).Resolve(context => context.Source.Rooms);
        Value<PushStatusType>("push", settings => settings.Push, "What a client needs to subscribe to Web Push.");
    }
}

internal sealed class NotificationSettingsInput : InputObjectGraphType<NotificationSettings>
{
    public NotificationSettingsInput()
    {
        Name = "NotificationSettingsInput";
        Description = "The settings as they shall be. Quiet hours and their time zone are given together or not at all.";
        Field<NonNullGraphType<BooleanGraphType>>("muted").Description("No message wakes a device.").DefaultValue(false);
        Field<IntGraphType>("quietFrom").Description("Minute of the day, 0 to 1439, with which quiet hours begin.");
        Field<IntGraphType>("quietUntil").Description("Minute of the day before which they end; when it is the smaller of the two, on the next day.");
        Field<StringGraphType>("timeZone").Description("The clock by which they go, as the IANA time zone database names it.");
        Field<NonNullGraphType<NotificationPriorityType>>("priority").Description("How urgent a push is.").DefaultValue(NotificationPriority.Normal);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new NotificationSettings(
        value.Get<bool>("muted"), value.Get<int?>("quietFrom"), value.Get<int?>("quietUntil"), value.Get<string>("timeZone"), value.Get<NotificationPriority>("priority"));
}
