using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Encryption;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class DeviceFields(
    DeviceStore devices, DeviceOperations operations, DeviceDirectory directory, DeviceListStore lists, DeviceListOperations listOperations,
    KeyPackageStore packages, KeyPackageOperations keyPackages) : IRootFields
{
    private const int UsualDevices = 5;
    private const int UsualMembers = 20;
    private const int WriteCost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Many<DeviceType>("devices", "The caller's own devices.", UsualDevices).ResolveAsync(
            async context => await devices.ListAsync(context.Caller(), context.CancellationToken));
        query.Required<KeyPackageStockType>("keyPackageStock", "How many KeyPackages one of the caller's devices has left.")
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveAsync(async context => await packages.GetStockAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
        query.Required<UserKeysType>("userKeys", "Identity key and approved devices of an account.").Costs(10, UsualDevices)
            .Argument<NonNullGraphType<StringGraphType>>("username", "The account's username.")
            .ResolveAsync(async context =>
            {
                context.Caller();
                return await directory.OfUserAsync(context.GetArgument<string>("username"), context.CancellationToken);
            });
        query.Required<ListGraphType<NonNullGraphType<UserKeysType>>>(
            "roomKeys", "Identity keys and approved devices of all members of a room.").Costs(10, UsualMembers)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .ResolveAsync(async context => await directory.OfRoomAsync(context.Caller(), context.Id("roomId"), context.CancellationToken));
        query.Required<DeviceListsType>("deviceLists", "The signed device lists of an account, oldest first, up to 100.").Costs(50)
            .Argument<NonNullGraphType<IdGraphType>>("userId", "The account.")
            .Argument<NonNullGraphType<LongType>>("after", "Only lists with a greater number.", argument => argument.DefaultValue = 0L)
            .ResolveAsync(async context =>
            {
                context.Caller();
                return await lists.ReadAsync(context.Id("userId"), context.GetArgument<long>("after"), context.CancellationToken);
            });
        AddDevices(mutation);
        AddIdentity(mutation);
        AddKeyPackages(mutation);
    }

    private void AddDevices(OutputType<object> mutation)
    {
        mutation.Required<DeviceType>("registerDevice", "Registers the calling session as a device.").Costs(WriteCost)
            .Argument<NonNullGraphType<RegisterDeviceInput>>("input", "The device.")
            .ResolveAsync(async context =>
                (await operations.RegisterAsync(context.Caller(), context.GetArgument<RegisterDeviceRequest>("input"), context.CancellationToken)).Device);
        mutation.Required<BooleanGraphType>("attachDevice", "Attaches a device to the calling session. The device's earlier session ends.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveDoneAsync(context => operations.AttachAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
        mutation.Required<DeviceType>("rotateDevice", "Replaces the keys of the calling device.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<Base64Type>>("signatureKey", "The new Ed25519 public key.")
            .Argument<NonNullGraphType<Base64Type>>("linkKey", "The new HPKE public key.")
            .Argument<Base64Type>("identitySignature", "The identity key's signature. Without it the device waits for approval.")
            .ResolveAsync(async context =>
            {
                var request = new RotateDeviceRequest(
                    context.GetArgument<byte[]>("signatureKey"), context.GetArgument<byte[]>("linkKey"), context.GetArgument<byte[]?>("identitySignature"));
                return await operations.RotateAsync(context.Caller(), context.Id("deviceId"), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("revokeDevice", "Removes a device with its session, KeyPackages and Welcomes.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveDoneAsync(context => operations.RevokeAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
    }

    private void AddIdentity(OutputType<object> mutation)
    {
        mutation.Required<DeviceType>("approveDevice", "Approves one of the caller's devices with a signature of the identity key.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<Base64Type>>("identitySignature", "The identity key's signature.")
            .Argument<Base64Type>("sealedIdentity", "The identity's private key and what the device needs beside it, encrypted for it. Opaque to the server.")
            .ResolveAsync(async context =>
            {
                var request = new ApproveDeviceRequest(context.GetArgument<byte[]>("identitySignature"), context.GetArgument<byte[]?>("sealedIdentity"));
                return await operations.ApproveAsync(context.Caller(), context.Id("deviceId"), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>(
            "acknowledgeSealedIdentity", "Confirms that the calling device has stored its sealed identity, which the server then deletes.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The calling device.")
            .ResolveDoneAsync(context => operations.AcknowledgeAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
        mutation.Required<StoredDeviceListType>("publishDeviceList", "Publishes the next signed list of the caller's devices.").Costs(WriteCost)
            .Argument<NonNullGraphType<Base64Type>>("list", "The encoded DeviceList.")
            .ResolveAsync(async context => await listOperations.PublishAsync(
                context.Caller(), new PublishDeviceListRequest(context.GetArgument<byte[]>("list")), context.CancellationToken));
        mutation.Required<BooleanGraphType>(
                "replaceIdentity",
                "Replaces the caller's identity key, for an account that has lost it. The calling device stays approved, all others wait for approval.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The calling device.")
            .Argument<NonNullGraphType<Base64Type>>("identityKey", "The new Ed25519 public key.")
            .Argument<NonNullGraphType<Base64Type>>("identitySignature", "The new key's signature over the device.")
            .ResolveDoneAsync(context =>
            {
                var request = new ReplaceIdentityRequest(
                    context.Id("deviceId"), context.GetArgument<byte[]>("identityKey"), context.GetArgument<byte[]>("identitySignature"));
                return operations.ReplaceIdentityAsync(context.Caller(), request, context.CancellationToken);
            });
    }

    private void AddKeyPackages(OutputType<object> mutation)
    {
        mutation.Required<KeyPackageStockType>("uploadKeyPackages", "Uploads KeyPackages to the directory.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<ListGraphType<NonNullGraphType<Base64Type>>>>("keyPackages", "Each is claimed at most once.")
            .Argument<Base64Type>("lastResort", "Returned to every claim when no other is left. Replaces the previous one.")
            .ResolveAsync(async context =>
            {
                var request = new UploadKeyPackagesRequest(context.GetArgument<byte[][]>("keyPackages"), context.GetArgument<byte[]?>("lastResort"));
                return await keyPackages.UploadAsync(context.Caller(), context.Id("deviceId"), request, context.CancellationToken);
            });
        mutation.Required<ListGraphType<NonNullGraphType<ClaimedKeyPackageType>>>(
            "claimKeyPackages", "Claims one KeyPackage of each approved device of these accounts, or of the devices named.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<ListGraphType<NonNullGraphType<IdGraphType>>>>("userIds", "The accounts.")
            .Argument<ListGraphType<NonNullGraphType<IdGraphType>>>("deviceIds", "Only these of their devices. Null: all.")
            .ResolveAsync(async context =>
            {
                var request = new ClaimKeyPackagesRequest(Ids(context, "userIds") ?? [], Ids(context, "deviceIds"));
                return (await keyPackages.ClaimAsync(context.Caller(), request, context.CancellationToken)).KeyPackages;
            });
    }

    private static Guid[]? Ids(IResolveFieldContext context, string argument) =>
        context.GetArgument<object[]?>(argument) is { } ids ? [.. ids.Select(id => Given.Id(argument, id))] : null;
}
