using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.OpenApi;

namespace SecureMessaging.Server.Notifications;

/// <summary>Notification settings and push endpoints over REST.</summary>
internal static class NotificationEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("Me").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        me.MapGet("settings", GetAsync);
        me.MapPut("settings", SetAsync);
        me.MapPut("settings/rooms/{roomId:guid}", SetRoomAsync);
        me.MapDelete("settings/rooms/{roomId:guid}", ResetRoomAsync);
        me.MapPut("push", RegisterAsync);
        me.MapDelete("push", UnregisterAsync);
    }

    [EndpointName("getSettings"), EndpointSummary("When messages may wake the caller's devices, and what Web Push needs.")]
    internal static async Task<Ok<AccountSettings>> GetAsync(
        Caller caller, SettingsStore settings, PushStore endpoints, PushSender sender, CancellationToken cancellationToken)
    {
        var (everywhere, rooms) = await settings.ReadAsync(caller.UserId, cancellationToken);
        var registered = await endpoints.IsRegisteredAsync(caller, cancellationToken);
        return TypedResults.Ok(new AccountSettings(everywhere, rooms, new PushStatus(sender.PublicKey, registered)));
    }

    [EndpointName("changeSettings"), EndpointSummary("Sets when messages may wake the caller's devices, in every room that has no settings of its own.")]
    internal static async Task<NoContent> SetAsync(Caller caller, NotificationSettings request, SettingsStore settings, CancellationToken cancellationToken)
    {
        NotificationRules.Require(request);
        await settings.SetAsync(caller, request, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("changeSettingsOfRoom"), EndpointSummary("Sets it for one room, in place of the settings of everywhere.")]
    internal static async Task<NoContent> SetRoomAsync(
        Caller caller, Guid roomId, NotificationSettings request, SettingsStore settings, CancellationToken cancellationToken)
    {
        NotificationRules.Require(request);
        await settings.SetRoomAsync(caller, roomId, request, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("resetSettingsOfRoom"), EndpointSummary("Lets the settings of everywhere hold in the room again.")]
    internal static async Task<NoContent> ResetRoomAsync(Caller caller, Guid roomId, SettingsStore settings, CancellationToken cancellationToken)
    {
        await settings.ResetRoomAsync(caller, roomId, cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("registerPush"), EndpointSummary("Names where this session's browser is woken, by pushes without content.")]
    [Refuses(ErrorCode.Forbidden)]
    internal static async Task<NoContent> RegisterAsync(
        Caller caller, RegisterPushRequest request, PushAddress addresses, PushStore endpoints, CancellationToken cancellationToken)
    {
        await endpoints.RegisterAsync(caller, addresses.Require(request.Endpoint), cancellationToken);
        return TypedResults.NoContent();
    }

    [EndpointName("unregisterPush"), EndpointSummary("Wakes this session's browser no more.")]
    internal static async Task<NoContent> UnregisterAsync(Caller caller, PushStore endpoints, CancellationToken cancellationToken)
    {
        await endpoints.RemoveAsync(caller, cancellationToken);
        return TypedResults.NoContent();
    }
}
