using GraphQL.Types;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class DeviceType : OutputType<Device>
{
    public DeviceType()
        : base("Device", "One of the caller's own devices.")
    {
        Value<IdGraphType>("id", device => device.Id, "The device's id.");
        Value<StringGraphType>("scheme", device => device.Scheme, "The encryption scheme.");
        Value<Base64Type>("signatureKey", device => device.SignatureKey, "Ed25519 public key of the device's MLS leaf.");
        Value<Base64Type>("linkKey", device => device.LinkKey, "HPKE public key (X25519). An approving device encrypts the identity key for it.");
        Value<BooleanGraphType>(
            "approved", device => device.Approved, "Whether the identity key has signed the device. Other accounts see only approved devices.");
        Value<BooleanGraphType>("current", device => device.Current, "Whether the request came from the device's session.");
        Value<DateTimeGraphType>("createdOn", device => device.CreatedOn, "The day of registration (UTC).");
        Value<DateTimeGraphType>("seenOn", device => device.SeenOn, "The day of its last connection or request (UTC).");
        Nullable<Base64Type>("name", device => device.Name, "Opaque to the server.");
        Nullable<Base64Type>("identityKey", device => device.IdentityKey, "The account's identity key.");
        Nullable<Base64Type>("identitySignature", device => device.IdentitySignature, "The identity key's signature over the device.");
        Nullable<Base64Type>(
            "sealedIdentity", device => device.SealedIdentity, "The encrypted identity key from the approving device. Only the device itself can read it.");
    }
}

internal sealed class UserKeysType : OutputType<UserKeys>
{
    public UserKeysType()
        : base("UserKeys", "The public keys of an account.")
    {
        Value<IdGraphType>("userId", user => user.UserId, "The account.");
        Value<StringGraphType>("username", user => user.Username, "Its username.");
        Nullable<Base64Type>("identityKey", user => user.IdentityKey, "Its identity key. Null: it has no device.");
        Required<ListGraphType<NonNullGraphType<DeviceKeysType>>>("devices", "Its approved devices.").Resolve(context => context.Source.Devices);
    }
}

internal sealed class DeviceKeysType : OutputType<DeviceKeys>
{
    public DeviceKeysType()
        : base("DeviceKeys", "One approved device of an account.")
    {
        Value<IdGraphType>("deviceId", device => device.DeviceId, "The device.");
        Value<Base64Type>("signatureKey", device => device.SignatureKey, "Ed25519 public key of the device's MLS leaf.");
        Value<Base64Type>("identitySignature", device => device.IdentitySignature, "The identity key's signature over the device. Verify it.");
    }
}

internal sealed class StoredDeviceListType : OutputType<StoredDeviceList>
{
    public StoredDeviceListType()
        : base("StoredDeviceList", "The list is durable.") => Value<LongType>("number", stored => stored.Number, "Its number.");
}

internal sealed class DeviceListsType : OutputType<DeviceLists>
{
    public DeviceListsType()
        : base("DeviceLists", "Signed device lists of an account. Verify them.")
    {
        Value<LongType>("newest", lists => lists.Newest, "The number of the newest list, 0 if there is none.");
        Required<ListGraphType<NonNullGraphType<Base64Type>>>("lists", "Encoded lists, oldest first, without gaps.").Resolve(context => context.Source.Lists);
    }
}

internal sealed class KeyPackageStockType : OutputType<KeyPackageStock>
{
    public KeyPackageStockType()
        : base("KeyPackageStock", "How many KeyPackages of a device are left.")
    {
        Value<IntGraphType>("available", stock => stock.Available, "Single-use KeyPackages.");
        Value<BooleanGraphType>("lastResort", stock => stock.LastResort, "Whether there is a last-resort KeyPackage.");
        Value<BooleanGraphType>("lastResortUsed", stock => stock.LastResortUsed, "Whether the last-resort KeyPackage was claimed. If so, replace it.");
    }
}

internal sealed class ClaimedKeyPackageType : OutputType<ClaimedKeyPackage>
{
    public ClaimedKeyPackageType()
        : base("ClaimedKeyPackage", "One KeyPackage, removed from the directory unless it is the last-resort one.")
    {
        Value<IdGraphType>("userId", claimed => claimed.UserId, "The device's account.");
        Value<IdGraphType>("deviceId", claimed => claimed.DeviceId, "The device.");
        Value<Base64Type>("keyPackage", claimed => claimed.KeyPackage, "MLSMessage with the KeyPackage.");
    }
}

internal sealed class PendingWelcomeType : OutputType<PendingWelcome>
{
    public PendingWelcomeType()
        : base("PendingWelcome", "A Welcome that waits for a device.")
    {
        Value<IdGraphType>("roomId", welcome => welcome.RoomId, "The room.");
        Value<IntGraphType>("generation", welcome => welcome.Generation, "The group's generation.");
        Value<LongType>("seq", welcome => welcome.Seq, "The seq of the commit. The device reads the log from there.");
        Value<Base64Type>("message", welcome => welcome.Message, "MLSMessage with the Welcome.");
    }
}

internal sealed class CommitAckType : OutputType<CommitAck>
{
    public CommitAckType()
        : base("CommitAck", "The commit won its epoch.")
    {
        Value<IdGraphType>("roomId", ack => ack.RoomId, "The room.");
        Value<IdGraphType>("id", ack => ack.Id, "The commit.");
        Value<LongType>("seq", ack => ack.Seq, "Its seq in the room's log.");
        Value<LongType>("epoch", ack => ack.Epoch, "The epoch that it started.");
        Value<BooleanGraphType>("duplicate", ack => ack.Duplicate, "Whether an earlier attempt had stored it already.");
    }
}

internal sealed class InvalidCommitReportType : OutputType<InvalidCommitReport>
{
    public InvalidCommitReportType()
        : base("InvalidCommitReport", "The result of a report.")
    {
        Value<BooleanGraphType>("reset", report => report.Reset, "Whether the group has been reset.");
        Value<IntGraphType>("generation", report => report.Generation, "The room's generation now.");
    }
}

internal sealed class RegisterDeviceInput : InputObjectGraphType<RegisterDeviceRequest>
{
    public RegisterDeviceInput()
    {
        Name = "RegisterDeviceInput";
        Description = "A new device for the calling session.";
        Field<NonNullGraphType<IdGraphType>>("id").Description(
            "Chosen by the client (random, version 4). It is part of the signed data, and makes the call idempotent.");
        Field<NonNullGraphType<Base64Type>>("signatureKey").Description("Ed25519 public key (32 bytes) of the device's MLS leaf.");
        Field<NonNullGraphType<Base64Type>>("linkKey").Description(
            "HPKE public key (X25519, 32 bytes). An approving device encrypts the identity's private key for it.");
        Field<Base64Type>("identityKey").Description("The account's Ed25519 public key. Required with the first device, which sets it.");
        Field<Base64Type>("identitySignature").Description("64 bytes: Ed25519 signature by the identity key, as the contract defines.");
        Field<Base64Type>("name").Description("Opaque to the server. Encrypt it.");
        Field<NonNullGraphType<StringGraphType>>("scheme").Description("The encryption scheme.").DefaultValue(Schemes.Mls10);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new RegisterDeviceRequest(
        value.Id("id"), value.Get<byte[]>("signatureKey")!, value.Get<byte[]>("linkKey")!, value.Get<byte[]>("identityKey"), value.Get<byte[]>(
            "identitySignature"),
        value.Get<byte[]>("name"), value.Get<string>("scheme") ?? Schemes.Mls10);
}

internal sealed class AddMemberInput : InputObjectGraphType<AddMemberRequest>
{
    public AddMemberInput()
    {
        Name = "AddMemberInput";
        Description = "A member that a commit adds.";
        Field<StringGraphType>("username").Description("The account's username. Either it or userId is given.");
        Field<NonNullGraphType<RoomRoleType>>("role").Description("The member's role.").DefaultValue(RoomRole.Member);
        Field<IdGraphType>("userId").Description("The account's id.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) =>
        new AddMemberRequest(value.Get<string>("username"), value.Get<RoomRole>("role"), value.OptionalId("userId"));
}

internal sealed class MemberRoleInput : InputObjectGraphType<MemberRole>
{
    public MemberRoleInput()
    {
        Name = "MemberRoleInput";
        Description = "A role that a commit changes.";
        Field<NonNullGraphType<IdGraphType>>("userId").Description("The member.");
        Field<NonNullGraphType<RoomRoleType>>("role").Description("The new role.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new MemberRole(value.Id("userId"), value.Get<RoomRole>("role"));
}

internal sealed class CommitInput : InputObjectGraphType<CommitRequest>
{
    public CommitInput()
    {
        Name = "CommitInput";
        Description = "Ends an epoch of the room's MLS group.";
        Field<NonNullGraphType<IdGraphType>>("id").Description(
            "Chosen by the client (random, version 4). A retry with the same id and bytes returns the first result.");
        Field<NonNullGraphType<LongType>>("epoch").Description("The epoch it ends.");
        Field<NonNullGraphType<Base64Type>>("commit").Description("MLSMessage with a PrivateMessage of content type commit.");
        Field<ListGraphType<NonNullGraphType<Base64Type>>>("welcomes").Description("MLSMessages with a Welcome, each for devices of members.");
        Field<ListGraphType<NonNullGraphType<AddMemberInput>>>("add").Description("Members that it adds.");
        Field<ListGraphType<NonNullGraphType<IdGraphType>>>("remove").Description("Accounts that it removes.");
        Field<ListGraphType<NonNullGraphType<MemberRoleInput>>>("roles").Description("Roles that it changes.");
        Field<RoomSettingsInput>("settings").Description("Settings of the room that it changes.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value)
    {
        var (add, remove, roles) = (value.Array<AddMemberRequest>("add"), value.Array<object>("remove"), value.Array<MemberRole>("roles"));
        var settings = value.Get<ChangeRoomRequest>("settings");
        return new CommitRequest(
            value.Id("id"), value.Get<long>("epoch"), value.Get<byte[]>("commit")!, value.Array<byte[]>("welcomes"),
            add.Length + remove.Length + roles.Length == 0 && settings is null
                ? null
                : new RosterChange(add, [.. remove.Select(id => Given.Id("remove", id))], roles, settings));
    }
}
