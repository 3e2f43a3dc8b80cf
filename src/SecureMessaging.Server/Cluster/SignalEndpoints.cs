using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Cluster;

/// <summary>Signals over REST, for clients without a connection of their own to the hub.</summary>
internal static class SignalEndpoints
{
    /// <summary>Holds a signal of <see cref="Limits.SignalBytes"/> in base64.</summary>
    private const int BodyBytes = 4 * 1024;

    public static void Map(IEndpointRouteBuilder app) =>
        app.MapPost("/v1/rooms/{roomId:guid}/signals", SignalAsync).RequireAuthorization().WithTags("Messages").WithMetadata(
            new RequestSizeLimitAttribute(BodyBytes));

    [EndpointName("signal"), EndpointSummary("Sends opaque bytes to the members who are connected now. Nothing is stored.")]
    [EndpointDescription("Delivered at most once. 204 means that the signal is on its way, not that it arrived.")]
    private static Task<NoContent> SignalAsync(Caller caller, Guid roomId, SignalRequest request, Signals signals, CancellationToken cancellationToken) =>
        signals.SendAsync(caller, roomId, request.Signal, cancellationToken).NoContentAsync();
}
