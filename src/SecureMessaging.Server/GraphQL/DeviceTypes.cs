using GraphQL.Types;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.GraphQL;

internal sealed class DeviceType : OutputType<Device>
{
    public DeviceType()
        : base("Device", "One of the caller's own devices.")
    {
        Value<IdGraphType>("id", device => device.Id, "The device's id.");
        Value<StringGraphType>("scheme", device => device.Scheme, "How it encrypts.");
        Value<Base64Type>("signatureKey", device => device.SignatureKey, "Ed25519 public key of its MLS leaf.");
        Value<Base64Type>("linkKey", device => device.LinkKey, "Where an approving device seals the identity to.");
        Value<BooleanGraphType>("approved", device => device.Approved, "Whether the identity key has signed it. Only then others see it.");
        Value<BooleanGraphType>("current", device => device.Current, "Whether the request came from its session.");
        Value<DateTimeGraphType>("createdOn", device => device.CreatedOn, "The day of registration (UTC).");
        Value<DateTimeGraphType>("seenOn", device => device.SeenOn, "The day it was last connected or asked for something (UTC).");
        Nullable<Base64Type>("name", device => device.Name, "Opaque.");
        Nullable<Base64Type>("identityKey", device => device.IdentityKey, "The user's identity key.");
        Nullable<Base64Type>("identitySignature", device => device.IdentitySignature, "The identity key's signature on it.");
        Nullable<Base64Type>("sealedIdentity", device => device.SealedIdentity, "What the approving device left for it; shown to the device itself alone.");
    }
}

internal sealed class UserKeysType : OutputType<UserKeys>
{
    public UserKeysType()
        : base("UserKeys", "What one may know of another's keys.")
    {
        Value<IdGraphType>("userId", user => user.UserId, "The account.");
        Value<StringGraphType>("username", user => user.Username, "Its username.");
        Nullable<Base64Type>("identityKey", user => user.IdentityKey, "Its identity key; null while it has no device.");
        Required<ListGraphType<NonNullGraphType<DeviceKeysType>>>("devices", "Its approved devices.").Resolve(context => context.Source.Devices);
    }
}

internal sealed class DeviceKeysType : OutputType<DeviceKeys>
{
    public DeviceKeysType()
        : base("DeviceKeys", "One approved device of somebody.")
    {
        Value<IdGraphType>("deviceId", device => device.DeviceId, "The device.");
        Value<Base64Type>("signatureKey", device => device.SignatureKey, "Ed25519 public key of its MLS leaf.");
        Value<Base64Type>("identitySignature", device => device.IdentitySignature, "The identity key's signature on it: verify it.");
    }
}

internal sealed class KeyPackageStockType : OutputType<KeyPackageStock>
{
    public KeyPackageStockType()
        : base("KeyPackageStock", "How many KeyPackages of a device are left.")
    {
        Value<IntGraphType>("available", stock => stock.Available, "Those to be used once.");
        Value<BooleanGraphType>("lastResort", stock => stock.LastResort, "Whether there is one of last resort.");
        Value<BooleanGraphType>("lastResortUsed", stock => stock.LastResortUsed, "Whether that one has been handed out: replace it.");
    }
}

internal sealed class ClaimedKeyPackageType : OutputType<ClaimedKeyPackage>
{
    public ClaimedKeyPackageType()
        : base("ClaimedKeyPackage", "One KeyPackage, gone from the directory unless it is of last resort.")
    {
        Value<IdGraphType>("userId", claimed => claimed.UserId, "Whose device.");
        Value<IdGraphType>("deviceId", claimed => claimed.DeviceId, "Which device.");
        Value<Base64Type>("keyPackage", claimed => claimed.KeyPackage, "MLSMessage holding the KeyPackage.");
    }
}

internal sealed class PendingWelcomeType : OutputType<PendingWelcome>
{
    public PendingWelcomeType()
        : base("PendingWelcome", "A Welcome that waits for a device.")
    {
        Value<IdGraphType>("roomId", welcome => welcome.RoomId, "The room.");
        Value<IntGraphType>("generation", welcome => welcome.Generation, "The group's generation.");
        Value<LongType>("seq", welcome => welcome.Seq, "The commit's place in the log: what follows it is for the device.");
        Value<Base64Type>("message", welcome => welcome.Message, "MLSMessage holding the Welcome.");
    }
}

internal sealed class CommitAckType : OutputType<CommitAck>
{
    public CommitAckType()
        : base("CommitAck", "The commit won its epoch.")
    {
        Value<IdGraphType>("roomId", ack => ack.RoomId, "The room.");
        Value<IdGraphType>("id", ack => ack.Id, "The commit.");
        Value<LongType>("seq", ack => ack.Seq, "Its place in the room's log.");
        Value<LongType>("epoch", ack => ack.Epoch, "The epoch that it began.");
        Value<BooleanGraphType>("duplicate", ack => ack.Duplicate, "Whether an earlier attempt had stored it already.");
    }
}

internal sealed class InvalidCommitReportType : OutputType<InvalidCommitReport>
{
    public InvalidCommitReportType()
        : base("InvalidCommitReport", "What came of a report.")
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
        Description = "Makes the calling session a device.";
        Field<NonNullGraphType<IdGraphType>>("id").Description("Chosen by the client (random, version 4): part of what is signed, and makes the call repeatable.");
        Field<NonNullGraphType<Base64Type>>("signatureKey").Description("Ed25519 public key (32 bytes) of the device's MLS leaf.");
        Field<NonNullGraphType<Base64Type>>("linkKey").Description("HPKE public key (X25519, 32 bytes) to which an approving device seals the identity's private key.");
        Field<Base64Type>("identityKey").Description("The user's Ed25519 public key; required, and fixed, with the first device.");
        Field<Base64Type>("identitySignature").Description("64 bytes: Ed25519 by the identity key, as the contract says.");
        Field<Base64Type>("name").Description("Opaque to the server; encrypt it.");
        Field<NonNullGraphType<StringGraphType>>("scheme").Description("How it encrypts.").DefaultValue(Schemes.Mls10);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new RegisterDeviceRequest(
        value.Id("id"), value.Get<byte[]>("signatureKey")!, value.Get<byte[]>("linkKey")!, value.Get<byte[]>("identityKey"), value.Get<byte[]>("identitySignature"),
        value.Get<byte[]>("name"), value.Get<string>("scheme") ?? Schemes.Mls10);
}

internal sealed class AddMemberInput : InputObjectGraphType<AddMemberRequest>
{
    public AddMemberInput()
    {
        Name = "AddMemberInput";
        Description = "Who joins with a commit.";
        Field<NonNullGraphType<StringGraphType>>("username").Description("Whom to add.");
        Field<NonNullGraphType<RoomRoleType>>("role").Description("With which role.").DefaultValue(RoomRole.Member);
    }

    public override object ParseDictionary(IDictionary<string, object?> value) => new AddMemberRequest(value.Text("username"), value.Get<RoomRole>("role"));
}

internal sealed class CommitInput : InputObjectGraphType<CommitRequest>
{
    public CommitInput()
    {
        Name = "CommitInput";
        Description = "Ends an epoch of the room's MLS group.";
        Field<NonNullGraphType<IdGraphType>>("id").Description("Names the commit, random (version 4). The same id with the same bytes returns the first answer.");
        Field<NonNullGraphType<LongType>>("epoch").Description("The epoch it ends.");
        Field<NonNullGraphType<Base64Type>>("commit").Description("MLSMessage holding a PrivateMessage of content type commit.");
        Field<ListGraphType<NonNullGraphType<Base64Type>>>("welcomes").Description("MLSMessages holding a Welcome, each for devices of members.");
        Field<ListGraphType<NonNullGraphType<AddMemberInput>>>("add").Description("Who joins with it.");
        Field<ListGraphType<NonNullGraphType<IdGraphType>>>("remove").Description("Accounts that leave with it.");
    }

    public override object ParseDictionary(IDictionary<string, object?> value)
    {
        var (add, remove) = (value.Array<AddMemberRequest>("add"), value.Array<object>("remove"));
        return new CommitRequest(
            value.Id("id"), value.Get<long>("epoch"), value.Get<byte[]>("commit")!, value.Array<byte[]>("welcomes"),
            add.Length + remove.Length == 0 ? null : new RosterChange(add, [.. remove.Select(id => Given.Id("remove", id))]));
    }
}
