using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Reading what was given as input objects and ids.</summary>
internal static class Given
{
    public static Guid Id(string name, object? given) => Guid.TryParse(given?.ToString(), out var id) ? id : throw ApiException.Invalid($"{name} must be a UUID.", name);

    public static Guid Id(this IDictionary<string, object?> input, string name) => Id(name, input[name]);

    public static Guid? OptionalId(this IDictionary<string, object?> input, string name) => input.TryGetValue(name, out var given) && given is not null ? Id(name, given) : null;

    public static T? Get<T>(this IDictionary<string, object?> input, string name) => input.TryGetValue(name, out var given) && given is T value ? value : default;

    public static string Text(this IDictionary<string, object?> input, string name) => (string)input[name]!;

    public static T[] Array<T>(this IDictionary<string, object?> input, string name) =>
        input.TryGetValue(name, out var given) && given is System.Collections.IEnumerable items ? [.. items.Cast<T>()] : [];
}

internal sealed class SignUpInput : InputObjectGraphType<SignUpRequest>
{
    public SignUpInput()
    {
        Name = "SignUpInput";
        Description = "A new account.";
        Field<NonNullGraphType<StringGraphType>>("username").Description("3 to 32 of a-z 0-9 . _ -");
        Field<NonNullGraphType<StringGraphType>>("email").Description("Kept encrypted and never shown to others.");
        Field<NonNullGraphType<StringGraphType>>("password").Description("10 to 256 characters.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new SignUpRequest(value.Text("username"), value.Text("email"), value.Text("password"));
}

internal sealed class CreateRoomInput : InputObjectGraphType<CreateRoomRequest>
{
    public CreateRoomInput()
    {
        Name = "CreateRoomInput";
        Description = "A new room. The caller becomes owner (in a direct room, both are).";
        Field<NonNullGraphType<RoomKindType>>("kind").Description("Group, or direct: then the room of these two is returned when it exists already.").DefaultValue(RoomKind.Group);
        Field<NonNullGraphType<ListGraphType<NonNullGraphType<StringGraphType>>>>("members").Description("Usernames of the others.");
        Field<Base64Type>("name").Description("Opaque to the server; encrypt it.");
        Field<NonNullGraphType<BooleanGraphType>>("visible").Description("Whether the server stores and returns the sender of each entry.").DefaultValue(false);
        Field<IntGraphType>("timeToLiveSeconds").Description("Default time to live of the room's entries; null keeps them.");
        Field<IdGraphType>("id").Description("Chosen by the client to make the call repeatable (random, version 4).");
        Field<NonNullGraphType<StringGraphType>>("scheme").Description("How its members encrypt; never changes.").DefaultValue(Schemes.Opaque);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new CreateRoomRequest(
        value.Get<RoomKind>("kind"), value.Array<string>("members"), value.Get<byte[]>("name"), value.Get<bool>("visible"), value.Get<int?>("timeToLiveSeconds"),
        value.OptionalId("id"), value.Get<string>("scheme") ?? Schemes.Opaque);
}

internal sealed class RoomSettingsInput : InputObjectGraphType<ChangeRoomRequest>
{
    public RoomSettingsInput()
    {
        Name = "RoomSettingsInput";
        Description = "What is left out stays as it is; what is null is cleared.";
        Field<Base64Type>("name").Description("Opaque.");
        Field<IntGraphType>("timeToLiveSeconds").Description("For entries from now on; null keeps them.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value)
    {
        var change = value.ContainsKey("name") ? new ChangeRoomRequest { Name = value.Get<byte[]>("name") } : new ChangeRoomRequest();
        return value.ContainsKey("timeToLiveSeconds") ? change with { TimeToLiveSeconds = value.Get<int?>("timeToLiveSeconds") } : change;
    }
}

internal sealed class SendInput : InputObjectGraphType<SendRequest>
{
    public SendInput()
    {
        Name = "SendInput";
        Description = "One application envelope on its way in.";
        Field<NonNullGraphType<IdGraphType>>("roomId").Description("Where to.");
        Field<NonNullGraphType<IdGraphType>>("clientMessageId").Description("Names the send, random (version 4). The same id with the same bytes returns the first ack.");
        Field<NonNullGraphType<Base64Type>>("ciphertext").Description("The envelope.");
        Field<IntGraphType>("timeToLiveSeconds").Description("Seconds until the server purges the content; the room's default applies when it is shorter.");
        Field<NonNullGraphType<LongType>>("epoch").Description("The MLS epoch it is encrypted for; 0 in rooms of other schemes.").DefaultValue(0L);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new SendRequest(
        value.Id("roomId"), value.Id("clientMessageId"), value.Get<byte[]>("ciphertext") ?? [], value.Get<int?>("timeToLiveSeconds"), value.Get<long>("epoch"));
}

/// <summary>How far a client knows a room's log.</summary>
internal sealed record RoomCursor(Guid RoomId, long AfterSeq);

internal sealed class RoomCursorInput : InputObjectGraphType<RoomCursor>
{
    public RoomCursorInput()
    {
        Name = "RoomCursorInput";
        Description = "How far the client knows a room's log.";
        Field<NonNullGraphType<IdGraphType>>("roomId").Description("The room.");
        Field<NonNullGraphType<LongType>>("afterSeq").Description("The seq of the last entry that it has.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new RoomCursor(value.Id("roomId"), value.Get<long>("afterSeq"));
}
