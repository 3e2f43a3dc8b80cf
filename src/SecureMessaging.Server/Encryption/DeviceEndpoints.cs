using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>Devices, their identity and their KeyPackages over REST.</summary>
internal static class DeviceEndpoints
{
    private const int BodyBytes = 16 * 1024;

    /// <summary>Enough for the KeyPackages of an upload, in base64, and for the ids of a claim.</summary>
    private const int UploadBytes = 640 * 1024;
    private const int ClaimBytes = 128 * 1024;

    /// <summary>Enough for an approval with a sealed identity, in base64.</summary>
    private const int ApprovalBytes = 704 * 1024;

    /// <summary>Enough for a device list, in base64.</summary>
    private const int DeviceListBytes = 24 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var devices = app.MapGroup("/v1/devices").RequireAuthorization().WithTags("Devices").NeverStored();
        devices.MapGet("", ListAsync);
        devices.MapGet("{deviceId:guid}", GetAsync);
        devices.MapGet("{deviceId:guid}/key-packages", GetStockAsync);
        devices.MapPost("{deviceId:guid}/key-packages", UploadAsync).WithMetadata(new RequestSizeLimitAttribute(UploadBytes));
        devices.MapDelete("{deviceId:guid}", RevokeAsync);
        devices.MapPut("{deviceId:guid}/approval", ApproveAsync).WithMetadata(new RequestSizeLimitAttribute(ApprovalBytes));
        var small = devices.MapGroup("").WithMetadata(new RequestSizeLimitAttribute(BodyBytes));
        small.MapPost("", RegisterAsync);
        small.MapPut("{deviceId:guid}/session", AttachAsync);
        small.MapDelete("{deviceId:guid}/sealed-identity", AcknowledgeAsync);
        small.MapPut("{deviceId:guid}/keys", RotateAsync);

        var others = app.MapGroup("/v1").RequireAuthorization().WithTags("Devices").NeverStored();
        others.MapPut("me/identity", ReplaceIdentityAsync).WithMetadata(new RequestSizeLimitAttribute(BodyBytes));
        others.MapPut("me/device-list", PublishAsync).ShowLimit(limits => limits.DeviceLists).WithMetadata(new RequestSizeLimitAttribute(DeviceListBytes));
        others.MapGet("users/{userId:guid}/device-lists", GetListsAsync).Conditional();
        others.MapGet("users/{username}/devices", GetUserAsync).Conditional();
        others.MapGet("rooms/{roomId:guid}/devices", GetRoomAsync).Conditional();
        others.MapPost("key-packages/claim", ClaimAsync).ShowLimit(limits => limits.Claims).WithMetadata(new RequestSizeLimitAttribute(ClaimBytes));
    }

    [EndpointName("listDevices"), EndpointSummary("The caller's own devices.")]
    private static async Task<Ok<Device[]>> ListAsync(Caller caller, DeviceStore devices, CancellationToken cancellationToken) =>
        TypedResults.Ok(await devices.ListAsync(caller, cancellationToken));

    [EndpointName("getDevice"), EndpointSummary("One of the caller's own devices.")]
    private static async Task<Ok<Device>> GetAsync(Caller caller, Guid deviceId, DeviceOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.GetAsync(caller, deviceId, cancellationToken));

    [EndpointName("registerDevice"), EndpointSummary("Registers the calling session as a device.")]
    [EndpointDescription("201 for a new device. 200 when it was registered before with the same keys.")]
    [Refuses(ErrorCode.Conflict)]
    [ReplyHeader("201", "Location", "The device, relative to the server.", "/v1/devices/94c0f7b8-3e5a-4d21-8b9c-6f1a0e2d7c45")]
    private static async Task<Results<Created<Device>, Ok<Device>>> RegisterAsync(
        Caller caller, RegisterDeviceRequest request, DeviceOperations operations, CancellationToken cancellationToken)
    {
        var (device, created) = await operations.RegisterAsync(caller, request, cancellationToken);
        return created ? TypedResults.Created($"/v1/devices/{device.Id}", device) : TypedResults.Ok(device);
    }

    [EndpointName("attachDevice"), EndpointSummary("Attaches a device to the calling session. The device's earlier session ends.")]
    [Refuses(ErrorCode.Conflict)]
    private static Task<NoContent> AttachAsync(Caller caller, Guid deviceId, DeviceOperations operations, CancellationToken cancellationToken) =>
        operations.AttachAsync(caller, deviceId, cancellationToken).NoContentAsync();

    [EndpointName("approveDevice"), EndpointSummary("Approves one of the caller's devices with a signature of the identity key.")]
    [Refuses(ErrorCode.Conflict, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<Device>> ApproveAsync(
        Caller caller, Guid deviceId, ApproveDeviceRequest request, DeviceOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.ApproveAsync(caller, deviceId, request, cancellationToken));

    [EndpointName("acknowledgeSealedIdentity")]
    [EndpointSummary("Confirms that the calling device has stored its sealed identity, which the server then deletes.")]
    [Refuses(ErrorCode.Forbidden)]
    private static Task<NoContent> AcknowledgeAsync(Caller caller, Guid deviceId, DeviceOperations operations, CancellationToken cancellationToken) =>
        operations.AcknowledgeAsync(caller, deviceId, cancellationToken).NoContentAsync();

    [EndpointName("rotateDevice"), EndpointSummary("Replaces the keys of the calling device.")]
    [EndpointDescription("Only the device itself may do this. Its KeyPackages and Welcomes are deleted.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<Ok<Device>> RotateAsync(
        Caller caller, Guid deviceId, RotateDeviceRequest request, DeviceOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.RotateAsync(caller, deviceId, request, cancellationToken));

    [EndpointName("replaceIdentity"), EndpointSummary("Replaces the caller's identity key. The calling device stays approved.")]
    [EndpointDescription("For an account that has lost its identity key. All other devices then wait for approval.")]
    [Refuses(ErrorCode.NotFound, ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static Task<NoContent> ReplaceIdentityAsync(
        Caller caller, ReplaceIdentityRequest request, DeviceOperations operations, CancellationToken cancellationToken) =>
        operations.ReplaceIdentityAsync(caller, request, cancellationToken).NoContentAsync();

    [EndpointName("revokeDevice"), EndpointSummary("Removes a device with its session, KeyPackages and Welcomes.")]
    private static Task<NoContent> RevokeAsync(Caller caller, Guid deviceId, DeviceOperations operations, CancellationToken cancellationToken) =>
        operations.RevokeAsync(caller, deviceId, cancellationToken).NoContentAsync();

    [EndpointName("getKeyPackageStock"), EndpointSummary("How many KeyPackages one of the caller's devices has left.")]
    private static async Task<Ok<KeyPackageStock>> GetStockAsync(Caller caller, Guid deviceId, KeyPackageStore packages, CancellationToken cancellationToken) =>
        TypedResults.Ok(await packages.GetStockAsync(caller, deviceId, cancellationToken));

    [EndpointName("uploadKeyPackages"), EndpointSummary("Uploads KeyPackages to the directory.")]
    [EndpointDescription("Only the device itself may do this, once it is approved. One invalid KeyPackage rejects the whole upload.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<KeyPackageStock>> UploadAsync(
        Caller caller, Guid deviceId, UploadKeyPackagesRequest request, KeyPackageOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.UploadAsync(caller, deviceId, request, cancellationToken));

    [EndpointName("claimKeyPackages"), EndpointSummary("Claims one KeyPackage of each approved device of these accounts, or of the devices named.")]
    private static async Task<Ok<ClaimedKeyPackages>> ClaimAsync(
        Caller caller, ClaimKeyPackagesRequest request, KeyPackageOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.ClaimAsync(caller, request, cancellationToken));

    [EndpointName("getUserKeys"), EndpointSummary("Identity key and approved devices of an account.")]
    private static async Task<Ok<UserKeys>> GetUserAsync(string username, DeviceDirectory directory, CancellationToken cancellationToken) =>
        TypedResults.Ok(await directory.OfUserAsync(username, cancellationToken));

    [EndpointName("getRoomKeys"), EndpointSummary("Identity keys and approved devices of all members of a room.")]
    private static async Task<Ok<UserKeys[]>> GetRoomAsync(Caller caller, Guid roomId, DeviceDirectory directory, CancellationToken cancellationToken) =>
        TypedResults.Ok(await directory.OfRoomAsync(caller, roomId, cancellationToken));

    [EndpointName("publishDeviceList"), EndpointSummary("Publishes the next signed list of the caller's devices.")]
    [EndpointDescription("The same bytes again get the same answer. 409 tells the number of the newest stored list in currentNumber.")]
    [Refuses(ErrorCode.Conflict, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<StoredDeviceList>> PublishAsync(
        Caller caller, PublishDeviceListRequest request, DeviceListOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.PublishAsync(caller, request, cancellationToken));

    [EndpointName("getDeviceLists"), EndpointSummary("The signed device lists of an account, oldest first.")]
    [EndpointDescription("A page has up to 100 lists. Ask again after the number of the last one until it is the newest.")]
    private static async Task<Ok<DeviceLists>> GetListsAsync(Guid userId, DeviceListStore lists, CancellationToken cancellationToken, long after = 0) =>
        TypedResults.Ok(await lists.ReadAsync(userId, after, cancellationToken));
}
