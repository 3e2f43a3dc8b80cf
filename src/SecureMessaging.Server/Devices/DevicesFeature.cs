using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Devices;

/// <summary>Devices, their identity and their KeyPackages over REST.</summary>
internal static class DevicesFeature
{
    private const int BodyBytes = 16 * 1024;

    /// <summary>Hold, in base64, as many KeyPackages as an upload may have, and as many ids as a claim may name.</summary>
    private const int UploadBytes = 640 * 1024;
    private const int ClaimBytes = 128 * 1024;

    public static void AddDevices(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<DevicesOptions>().BindConfiguration(DevicesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<DeviceEvents>();
        services.AddSingleton<DeviceRooms>();
        services.AddSingleton<DeviceStore>();
        services.AddSingleton<DeviceRequests>();
        services.AddSingleton<DeviceDirectory>();
        services.AddSingleton<KeyPackageStore>();
        services.AddSingleton<SeenDevices>();
    }

    public static void UseDevices(this WebApplication app)
    {
        var seen = app.Services.GetRequiredService<SeenDevices>();
        app.Use(async (context, next) =>
        {
            await seen.NoteAsync(context);
            await next(context);
        });
    }

    public static void MapDevices(this IEndpointRouteBuilder app)
    {
        var devices = app.MapGroup("/v1/devices").RequireAuthorization().WithTags("Devices").NeverStored();
        devices.MapGet("", ListAsync);
        devices.MapGet("{deviceId:guid}", GetAsync);
        devices.MapGet("{deviceId:guid}/key-packages", GetStockAsync);
        devices.MapPost("{deviceId:guid}/key-packages", UploadAsync).WithMetadata(new RequestSizeLimitAttribute(UploadBytes));
        devices.MapDelete("{deviceId:guid}", RevokeAsync);
        var small = devices.MapGroup("").WithMetadata(new RequestSizeLimitAttribute(BodyBytes));
        small.MapPost("", RegisterAsync);
        small.MapPut("{deviceId:guid}/session", AttachAsync);
        small.MapPut("{deviceId:guid}/approval", ApproveAsync);
        small.MapPut("{deviceId:guid}/keys", RotateAsync);

        var others = app.MapGroup("/v1").RequireAuthorization().WithTags("Devices").NeverStored();
        others.MapPut("me/identity", ReplaceIdentityAsync).WithMetadata(new RequestSizeLimitAttribute(BodyBytes));
        others.MapGet("users/{username}/devices", GetUserAsync).Conditional();
        others.MapGet("rooms/{roomId:guid}/devices", GetRoomAsync).Conditional();
        others.MapPost("key-packages/claim", ClaimAsync).ShowLimit(limits => limits.Claims).WithMetadata(new RequestSizeLimitAttribute(ClaimBytes));
    }

    [EndpointName("listDevices"), EndpointSummary("The caller's own devices.")]
    private static async Task<Ok<Device[]>> ListAsync(Caller caller, DeviceStore devices, CancellationToken cancellationToken) =>
        TypedResults.Ok(await devices.ListAsync(caller, cancellationToken));

    [EndpointName("getDevice"), EndpointSummary("One of the caller's own devices.")]
    private static async Task<Ok<Device>> GetAsync(Caller caller, Guid deviceId, DeviceStore devices, CancellationToken cancellationToken) =>
        TypedResults.Ok(Array.Find(await devices.ListAsync(caller, cancellationToken), device => device.Id == deviceId) ?? throw ApiException.NotFound());

    [EndpointName("registerDevice"), EndpointSummary("Makes the calling session a device.")]
    [EndpointDescription("201 when it is new, 200 when it was registered before with the same keys.")]
    [Refuses(ErrorCode.Conflict)]
    [ReplyHeader("201", "Location", "The device, relative to the server.", "/v1/devices/94c0f7b8-3e5a-4d21-8b9c-6f1a0e2d7c45")]
    private static async Task<Results<Created<Device>, Ok<Device>>> RegisterAsync(
        Caller caller, RegisterDeviceRequest request, DeviceRequests requests, CancellationToken cancellationToken)
    {
        var (device, created) = await requests.RegisterAsync(caller, request, cancellationToken);
        return created ? TypedResults.Created($"/v1/devices/{device.Id}", device) : TypedResults.Ok(device);
    }

    [EndpointName("attachDevice"), EndpointSummary("Attaches a device to the calling session; the session that it had before ends.")]
    [Refuses(ErrorCode.Conflict)]
    private static async Task<NoContent> AttachAsync(Caller caller, Guid deviceId, DeviceStore devices, CancellationToken cancellationToken)
    {
        await devices.AttachAsync(caller, deviceId, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("approveDevice"), EndpointSummary("Signs a waiting device of one's own.")]
    [Refuses(ErrorCode.Conflict)]
    private static async Task<Ok<Device>> ApproveAsync(
        Caller caller, Guid deviceId, ApproveDeviceRequest request, DeviceRequests requests, CancellationToken cancellationToken) =>
        TypedResults.Ok(await requests.ApproveAsync(caller, deviceId, request, cancellationToken));

    [EndpointName("rotateDevice"), EndpointSummary("The device starts anew with another signature key.")]
    [EndpointDescription("For the device itself. Its KeyPackages and Welcomes are gone.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<Ok<Device>> RotateAsync(
        Caller caller, Guid deviceId, RotateDeviceRequest request, DeviceRequests requests, CancellationToken cancellationToken) =>
        TypedResults.Ok(await requests.RotateAsync(caller, deviceId, request, cancellationToken));

    [EndpointName("replaceIdentity"), EndpointSummary("The calling device goes on under a new identity key.")]
    [EndpointDescription("For a user whose identity key is lost: all other devices wait for approval.")]
    [Refuses(ErrorCode.NotFound, ErrorCode.Forbidden, ErrorCode.Conflict)]
    private static async Task<NoContent> ReplaceIdentityAsync(
        Caller caller, ReplaceIdentityRequest request, DeviceRequests requests, CancellationToken cancellationToken)
    {
        await requests.ReplaceIdentityAsync(caller, request, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("revokeDevice"), EndpointSummary("Ends the device with its session, KeyPackages and Welcomes.")]
    private static async Task<NoContent> RevokeAsync(Caller caller, Guid deviceId, DeviceStore devices, CancellationToken cancellationToken)
    {
        await devices.RevokeAsync(caller.UserId, deviceId, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("getKeyPackageStock"), EndpointSummary("How many KeyPackages a device of the caller has left.")]
    private static async Task<Ok<KeyPackageStock>> GetStockAsync(Caller caller, Guid deviceId, KeyPackageStore packages, CancellationToken cancellationToken) =>
        TypedResults.Ok(await packages.GetStockAsync(caller, deviceId, cancellationToken));

    [EndpointName("uploadKeyPackages"), EndpointSummary("Puts KeyPackages into the directory.")]
    [EndpointDescription("For the device itself, once it is approved. One wrong KeyPackage refuses all.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<KeyPackageStock>> UploadAsync(
        Caller caller, Guid deviceId, UploadKeyPackagesRequest request, KeyPackageStore packages, CancellationToken cancellationToken) =>
        TypedResults.Ok(await packages.UploadAsync(caller, deviceId, request, cancellationToken));

    [EndpointName("claimKeyPackages"), EndpointSummary("Takes one KeyPackage of every approved device of these users, or of the devices named.")]
    private static async Task<Ok<ClaimedKeyPackages>> ClaimAsync(
        Caller caller, ClaimKeyPackagesRequest request, KeyPackageStore packages, CancellationToken cancellationToken) =>
        TypedResults.Ok(await packages.ClaimAsync(caller, request, cancellationToken));

    [EndpointName("getUserKeys"), EndpointSummary("Identity key and approved devices of somebody.")]
    private static async Task<Ok<UserKeys>> GetUserAsync(string username, DeviceDirectory directory, CancellationToken cancellationToken) =>
        TypedResults.Ok(await directory.OfUserAsync(username, cancellationToken));

    [EndpointName("getRoomKeys"), EndpointSummary("Identity keys and approved devices of all members of a room.")]
    private static async Task<Ok<UserKeys[]>> GetRoomAsync(Caller caller, Guid roomId, DeviceDirectory directory, CancellationToken cancellationToken) =>
        TypedResults.Ok(await directory.OfRoomAsync(caller, roomId, cancellationToken));
}
