using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Notifications;

/// <summary>Notification settings and push endpoints over REST.</summary>
internal static class NotificationEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("Me").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        me.MapGet("settings", GetAsync);
        me.MapPut("settings", ChangeAsync);
        me.MapPut("settings/rooms/{roomId:guid}", ChangeRoomAsync);
        me.MapDelete("settings/rooms/{roomId:guid}", ResetRoomAsync);
        me.MapPut("push", RegisterPushAsync);
        me.MapDelete("push", UnregisterPushAsync);
    }

    [EndpointName("getSettings"), EndpointSummary("When messages may wake the caller's devices, and the server's Web Push key.")]
    private static async Task<Ok<AccountSettings>> GetAsync(Caller caller, NotificationOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.GetAsync(caller, cancellationToken));

    [EndpointName("changeSettings"), EndpointSummary("Sets when messages may wake the caller's devices, in every room without settings of its own.")]
    private static Task<NoContent> ChangeAsync(
        Caller caller, NotificationSettings request, NotificationOperations operations, CancellationToken cancellationToken) =>
        operations.ChangeAsync(caller, request, cancellationToken).NoContentAsync();

    [EndpointName("changeSettingsOfRoom")]
    [EndpointSummary("Sets when messages of one room may wake the caller's devices. Replaces the account's settings in that room.")]
    private static Task<NoContent> ChangeRoomAsync(
        Caller caller, Guid roomId, NotificationSettings request, NotificationOperations operations, CancellationToken cancellationToken) =>
        operations.ChangeRoomAsync(caller, roomId, request, cancellationToken).NoContentAsync();

    [EndpointName("resetSettingsOfRoom"), EndpointSummary("Removes the settings of one room, so that the account's settings apply.")]
    private static Task<NoContent> ResetRoomAsync(Caller caller, Guid roomId, NotificationOperations operations, CancellationToken cancellationToken) =>
        operations.ResetRoomAsync(caller, roomId, cancellationToken).NoContentAsync();

    [EndpointName("registerPush"), EndpointSummary("Registers the push endpoint of this session's browser. Pushes have no content.")]
    [Refuses(ErrorCode.Forbidden)]
    private static Task<NoContent> RegisterPushAsync(
        Caller caller, RegisterPushRequest request, NotificationOperations operations, CancellationToken cancellationToken) =>
        operations.RegisterPushAsync(caller, request, cancellationToken).NoContentAsync();

    [EndpointName("unregisterPush"), EndpointSummary("Removes the push endpoint of this session's browser.")]
    private static Task<NoContent> UnregisterPushAsync(Caller caller, NotificationOperations operations, CancellationToken cancellationToken) =>
        operations.UnregisterPushAsync(caller, cancellationToken).NoContentAsync();
}
