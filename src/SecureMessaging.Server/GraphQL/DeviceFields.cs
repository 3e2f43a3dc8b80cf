using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Devices;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Devices, their identity and their KeyPackages.</summary>
internal sealed class DeviceFields(DeviceStore devices, DeviceRequests requests, DeviceDirectory directory, KeyPackageStore packages) : IRootFields
{
    private const int UsualDevices = 5;
    private const int UsualMembers = 20;
    private const int WriteCost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Many<DeviceType>("devices", "The caller's own devices.", UsualDevices).ResolveAsync(async context => await devices.ListAsync(context.Caller(), context.CancellationToken));
        query.Required<KeyPackageStockType>("keyPackageStock", "How many KeyPackages a device of the caller has left.")
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveAsync(async context => await packages.GetStockAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
        query.Required<UserKeysType>("userKeys", "The keys of somebody.").Costs(10, UsualDevices)
            .Argument<NonNullGraphType<StringGraphType>>("username", "Whose.")
            .ResolveAsync(async context =>
            {
                context.Caller();
                return await directory.OfUserAsync(context.GetArgument<string>("username"), context.CancellationToken);
            });
        query.Required<ListGraphType<NonNullGraphType<UserKeysType>>>("roomKeys", "The keys of all members of a room.").Costs(10, UsualMembers)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .ResolveAsync(async context => await directory.OfRoomAsync(context.Caller(), context.Id("roomId"), context.CancellationToken));
        AddDevices(mutation);
        AddIdentity(mutation);
        AddKeyPackages(mutation);
    }

    private void AddDevices(OutputType<object> mutation)
    {
        mutation.Required<DeviceType>("registerDevice", "Makes the calling session a device.").Costs(WriteCost)
            .Argument<NonNullGraphType<RegisterDeviceInput>>("input", "The device.")
            .ResolveAsync(async context => (await requests.RegisterAsync(context.Caller(), context.GetArgument<RegisterDeviceRequest>("input"), context.CancellationToken)).Device);
        mutation.Required<BooleanGraphType>("attachDevice", "Attaches a device to the calling session; the session that it had before ends.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveAsync(async context =>
            {
                await devices.AttachAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken);
                return true;
            });
        mutation.Required<DeviceType>("rotateDevice", "The device starts anew with another signature key.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<Base64Type>>("signatureKey", "The new Ed25519 public key.")
            .Argument<NonNullGraphType<Base64Type>>("linkKey", "The new HPKE public key.")
            .Argument<Base64Type>("identitySignature", "Without it the device waits for approval.")
            .ResolveAsync(async context =>
            {
                var request = new RotateDeviceRequest(
                    context.GetArgument<byte[]>("signatureKey"), context.GetArgument<byte[]>("linkKey"), context.GetArgument<byte[]?>("identitySignature"));
                return await requests.RotateAsync(context.Caller(), context.Id("deviceId"), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("revokeDevice", "Ends the device with its session, KeyPackages and Welcomes.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveAsync(async context =>
            {
                await devices.RevokeAsync(context.Caller().UserId, context.Id("deviceId"), context.CancellationToken);
                return true;
            });
    }

    private void AddIdentity(OutputType<object> mutation)
    {
        mutation.Required<DeviceType>("approveDevice", "Signs a waiting device of one's own.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<Base64Type>>("identitySignature", "The identity key's signature.")
            .Argument<Base64Type>("sealedIdentity", "The identity's private key, sealed for the device; opaque to the server.")
            .ResolveAsync(async context =>
            {
                var request = new ApproveDeviceRequest(context.GetArgument<byte[]>("identitySignature"), context.GetArgument<byte[]?>("sealedIdentity"));
                return await requests.ApproveAsync(context.Caller(), context.Id("deviceId"), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("replaceIdentity", "For a user whose identity key is lost: the calling device goes on under a new one, all others wait for approval.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The calling device.")
            .Argument<NonNullGraphType<Base64Type>>("identityKey", "The new Ed25519 public key.")
            .Argument<NonNullGraphType<Base64Type>>("identitySignature", "Its signature on the device.")
            .ResolveAsync(async context =>
            {
                var request = new ReplaceIdentityRequest(context.Id("deviceId"), context.GetArgument<byte[]>("identityKey"), context.GetArgument<byte[]>("identitySignature"));
                await requests.ReplaceIdentityAsync(context.Caller(), request, context.CancellationToken);
                return true;
            });
    }

    private void AddKeyPackages(OutputType<object> mutation)
    {
        mutation.Required<KeyPackageStockType>("uploadKeyPackages", "Puts KeyPackages into the directory.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<ListGraphType<NonNullGraphType<Base64Type>>>>("keyPackages", "Each to be used once.")
            .Argument<Base64Type>("lastResort", "Handed out again and again when no other is left; replaces the one before.")
            .ResolveAsync(async context =>
            {
                var request = new UploadKeyPackagesRequest(context.GetArgument<byte[][]>("keyPackages"), context.GetArgument<byte[]?>("lastResort"));
                return await packages.UploadAsync(context.Caller(), context.Id("deviceId"), request, context.CancellationToken);
            });
        mutation.Required<ListGraphType<NonNullGraphType<ClaimedKeyPackageType>>>("claimKeyPackages", "Takes one KeyPackage of every approved device of these users, or of the devices named.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<ListGraphType<NonNullGraphType<IdGraphType>>>>("userIds", "Whose.")
            .Argument<ListGraphType<NonNullGraphType<IdGraphType>>>("deviceIds", "Only these of their devices; null for all.")
            .ResolveAsync(async context =>
            {
                var request = new ClaimKeyPackagesRequest(Ids(context, "userIds") ?? [], Ids(context, "deviceIds"));
                return (await packages.ClaimAsync(context.Caller(), request, context.CancellationToken)).KeyPackages;
            });
    }

    private static Guid[]? Ids(IResolveFieldContext context, string argument) =>
        context.GetArgument<object[]?>(argument) is { } ids ? [.. ids.Select(id => Given.Id(argument, id))] : null;
}
