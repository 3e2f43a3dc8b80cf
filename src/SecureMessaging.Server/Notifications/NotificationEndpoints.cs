using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;

namespace SecureMessaging.Server.Notifications;

/// <summary>Notification settings and push endpoints over REST.</summary>
internal static class NotificationEndpoints
{
    private const int BodyBytes = 8 * 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("me").WithMetadata(new RequestSizeLimitAttribute(BodyBytes)).NeverStored();
        me.MapGet("settings", GetAsync);
        me.MapPut("settings", SetAsync);
        me.MapPut("settings/rooms/{roomId:guid}", SetRoomAsync);
        me.MapDelete("settings/rooms/{roomId:guid}", ResetRoomAsync);
        me.MapPut("push", RegisterAsync);
        me.MapDelete("push", UnregisterAsync);
    }

    internal static async Task<Ok<AccountSettings>> GetAsync(
        Caller caller, SettingsStore settings, PushStore endpoints, PushSender sender, CancellationToken cancellationToken)
    {
        var (everywhere, rooms) = await settings.ReadAsync(caller.UserId, cancellationToken);
        var registered = await endpoints.IsRegisteredAsync(caller, cancellationToken);
        return TypedResults.Ok(new AccountSettings(everywhere, rooms, new PushStatus(sender.PublicKey, registered)));
    }

    internal static async Task<NoContent> SetAsync(Caller caller, NotificationSettings request, SettingsStore settings, CancellationToken cancellationToken)
    {
        NotificationRules.Require(request);
        await settings.SetAsync(caller, request, cancellationToken);
        return TypedResults.NoContent();
    }

    internal static async Task<NoContent> SetRoomAsync(
        Caller caller, Guid roomId, NotificationSettings request, SettingsStore settings, CancellationToken cancellationToken)
    {
        NotificationRules.Require(request);
        await settings.SetRoomAsync(caller, roomId, request, cancellationToken);
        return TypedResults.NoContent();
    }

    internal static async Task<NoContent> ResetRoomAsync(Caller caller, Guid roomId, SettingsStore settings, CancellationToken cancellationToken)
    {
        await settings.ResetRoomAsync(caller, roomId, cancellationToken);
        return TypedResults.NoContent();
    }

    internal static async Task<NoContent> RegisterAsync(
        Caller caller, RegisterPushRequest request, PushAddress addresses, PushStore endpoints, CancellationToken cancellationToken)
    {
        await endpoints.RegisterAsync(caller, addresses.Require(request.Endpoint), cancellationToken);
        return TypedResults.NoContent();
    }

    internal static async Task<NoContent> UnregisterAsync(Caller caller, PushStore endpoints, CancellationToken cancellationToken)
    {
        await endpoints.RemoveAsync(caller, cancellationToken);
        return TypedResults.NoContent();
    }
}
