using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

internal static class Given
{
    public static Guid Id(string name, object? given) =>
        Guid.TryParse(given?.ToString(), out var id) ? id : throw ApiException.Invalid($"{name} must be a UUID.", name);

    public static Guid Id(this IDictionary<string, object?> input, string name) => Id(name, input[name]);

    public static Guid? OptionalId(this IDictionary<string, object?> input, string name) =>
        input.TryGetValue(name, out var given) && given is not null ? Id(name, given) : null;

    public static T? Get<T>(this IDictionary<string, object?> input, string name) =>
        input.TryGetValue(name, out var given) && given is T value ? value : default;

    public static string Text(this IDictionary<string, object?> input, string name) => (string)input[name]!;

    public static T[] Array<T>(this IDictionary<string, object?> input, string name) =>
        input.TryGetValue(name, out var given) && given is System.Collections.IEnumerable items ? [.. items.Cast<T>()] : [];
}

internal sealed class SignUpInput : InputObjectGraphType<SignUpRequest>
{
    public SignUpInput(Limits limits)
    {
        Name = "SignUpInput";
        Description = "A new account.";
        Field<NonNullGraphType<StringGraphType>>("username")
            .Description($"{AccountRules.UsernameMinCharacters} to {limits.UsernameCharacters} of a-z 0-9 . _ -");
        Field<NonNullGraphType<StringGraphType>>("email").Description("Stored encrypted. Other accounts never see it.");
        Field<NonNullGraphType<StringGraphType>>("password").Description($"{limits.PasswordMinCharacters} to {limits.PasswordMaxCharacters} characters.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) =>
        new SignUpRequest(value.Text("username"), value.Text("email"), value.Text("password"));
}

internal sealed class CreateRoomInput : InputObjectGraphType<CreateRoomRequest>
{
    public CreateRoomInput()
    {
        Name = "CreateRoomInput";
        Description = "A new room. The caller becomes its owner; in a direct room both members are owners.";
        Field<NonNullGraphType<RoomKindType>>(
            "kind").Description("For a direct room of two accounts that exists already, that room is returned.").DefaultValue(RoomKind.Group);
        Field<NonNullGraphType<ListGraphType<NonNullGraphType<StringGraphType>>>>("members").Description("Usernames of the other members.");
        Field<Base64Type>("name").Description("Opaque to the server. Encrypt it.");
        Field<NonNullGraphType<BooleanGraphType>>("visible").Description("Whether the server stores and returns the sender of each entry.").DefaultValue(false);
        Field<IntGraphType>("timeToLiveSeconds").Description("Default time to live of the room's entries. Null: they do not expire.");
        Field<IdGraphType>("id").Description("Chosen by the client (random, version 4). It makes the call idempotent.");
        Field<NonNullGraphType<StringGraphType>>("scheme").Description("The encryption scheme. It never changes.").DefaultValue(Schemes.Opaque);
        Field<Base64Type>("founding").Description(
            "The signed object Founding, which the scheme mls10 needs. The room's id is computed from it: id is absent or equal.");
        Field<ListGraphType<NonNullGraphType<IdGraphType>>>("userIds").Description("Ids of further other members.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new CreateRoomRequest(
        value.Get<RoomKind>("kind"), value.Array<string>("members"), value.Get<byte[]>("name"), value.Get<bool>("visible"), value.Get<int?>(
            "timeToLiveSeconds"),
        value.OptionalId("id"), value.Get<string>("scheme") ?? Schemes.Opaque, value.Get<byte[]>("founding"),
        [.. value.Array<object>("userIds").Select((id, index) => Given.Id($"userIds/{index}", id))]);
}

internal sealed class RoomSettingsInput : InputObjectGraphType<ChangeRoomRequest>
{
    public RoomSettingsInput()
    {
        Name = "RoomSettingsInput";
        Description = "Absent members stay unchanged, null clears.";
        Field<Base64Type>("name").Description("Opaque to the server.");
        Field<IntGraphType>("timeToLiveSeconds").Description("For new entries. Null: they do not expire.");
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
        Description = "An envelope to send.";
        Field<NonNullGraphType<IdGraphType>>("roomId").Description("The room.");
        Field<NonNullGraphType<IdGraphType>>("clientMessageId").Description(
            "Chosen by the client (random, version 4). A retry with the same id and bytes returns the first ack.");
        Field<NonNullGraphType<Base64Type>>("ciphertext").Description("The envelope.");
        Field<IntGraphType>("timeToLiveSeconds").Description("Seconds until the server deletes the content. The room's default applies if it is shorter.");
        Field<NonNullGraphType<LongType>>("epoch").Description("The MLS epoch that it is encrypted for. 0 in rooms of other schemes.").DefaultValue(0L);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new SendRequest(
        value.Id("roomId"), value.Id("clientMessageId"), value.Get<byte[]>("ciphertext") ?? [], value.Get<int?>("timeToLiveSeconds"), value.Get<long>("epoch"));
}

internal sealed record RoomCursor(Guid RoomId, long AfterSeq);

internal sealed class RoomCursorInput : InputObjectGraphType<RoomCursor>
{
    public RoomCursorInput()
    {
        Name = "RoomCursorInput";
        Description = "The last entry of a room's log that the client has.";
        Field<NonNullGraphType<IdGraphType>>("roomId").Description("The room.");
        Field<NonNullGraphType<LongType>>("afterSeq").Description("The seq of that entry.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new RoomCursor(value.Id("roomId"), value.Get<long>("afterSeq"));
}
