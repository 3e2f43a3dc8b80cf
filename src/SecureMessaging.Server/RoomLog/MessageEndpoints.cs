using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.RoomLog;

/// <summary>The room log over REST.</summary>
internal static class MessageEndpoints
{
    public static void Map(IEndpointRouteBuilder app)
    {
        var rooms = app.MapGroup("/v1/rooms").RequireAuthorization().WithTags("Messages");
        rooms.MapGet("heads", HeadsAsync).Conditional();
        rooms.MapGet("{roomId:guid}/log", ReadLogAsync).Conditional();
        rooms.MapPost("{roomId:guid}/messages", SendAsync).ShowLimit(limits => limits.Sends);
        rooms.MapPost("{roomId:guid}/messages/batch", SendBatchAsync).ShowLimit(limits => limits.Sends);
        rooms.MapDelete("{roomId:guid}/messages/{seq:long}", RetractAsync);
        rooms.MapPut("{roomId:guid}/delivered", MarkDeliveredAsync);
    }

    [EndpointName("listHeads"), EndpointSummary("The newest seq and the caller's delivery cursor for each of the caller's rooms.")]
    private static async Task<Ok<RoomHead[]>> HeadsAsync(Caller caller, LogStore log, CancellationToken cancellationToken) =>
        TypedResults.Ok(await log.HeadsAsync(caller, cancellationToken));

    [EndpointName("readLog"), EndpointSummary("A gapless page of the room's log, oldest first.")]
    [EndpointDescription(
        "Reads forwards from afterSeq, or backwards from beforeSeq. A page may be shorter than limit. The Link header names the neighbouring pages.")]
    [ReplyHeader(
        "200", "Link", "The neighbouring pages (RFC 8288): next, prev.",
        "</v1/rooms/2f9d1c40-6b7e-4a83-8c15-9e0f5d7a3b62/log?afterSeq=42&limit=100>; rel=\"next\"")]
    private static async Task<Ok<LogPage>> ReadLogAsync(
        HttpContext context, Caller caller, Guid roomId, MessageOperations operations, CancellationToken cancellationToken,
        long afterSeq = 0, long? beforeSeq = null, int limit = 100)
    {
        var page = await operations.ReadAsync(caller, roomId, new ReadLogRequest(afterSeq, beforeSeq, limit), cancellationToken);
        if (Links(page, limit) is { Length: > 0 } links)
            context.Response.Headers.Link = links;
        return TypedResults.Ok(page);
    }

    /// <summary>The neighbouring pages. The last page has no next one: to wait for new entries, a client polls it or connects to the hub.</summary>
    private static string Links(LogPage page, int limit)
    {
        if (page.Entries is not [{ Seq: var first }, ..])
            return "";
        var last = page.Entries[^1].Seq;
        var next = last < page.HeadSeq ? $"</v1/rooms/{page.RoomId}/log?afterSeq={last}&limit={limit}>; rel=\"next\"" : null;
        var previous = first > page.FirstSeq ? $"</v1/rooms/{page.RoomId}/log?beforeSeq={first}&limit={limit}>; rel=\"prev\"" : null;
        return string.Join(", ", new[] { next, previous }.OfType<string>());
    }

    [EndpointName("send"), EndpointSummary("Stores one envelope. Replies once it is durable.")]
    [EndpointDescription("Retries with the same clientMessageId are idempotent: the envelope is stored once.")]
    [Refuses(ErrorCode.Conflict, ErrorCode.WrongEpoch, ErrorCode.EpochTooOld, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<SendAck>> SendAsync(Caller caller, Guid roomId, SendRequest request, SendQueue sends) =>
        TypedResults.Ok(await sends.SendAsync(caller, InRoom(roomId, request)));

    [EndpointName("sendBatch"), EndpointSummary("Stores several envelopes in order.")]
    [EndpointDescription("Each succeeds or fails alone. After a retryable failure all later ones fail too, so that a retry keeps the order.")]
    [Refuses(ErrorCode.QuotaExceeded)]
    private static async Task<Ok<SendResult[]>> SendBatchAsync(
        Caller caller, Guid roomId, SendRequest[] requests, SendQueue sends) =>
        TypedResults.Ok(await sends.SendBatchAsync(caller, [.. requests.Select((request, index) => InRoom(roomId, request, $"{index}/roomId"))]));

    [EndpointName("retract"), EndpointSummary("Redacts an entry that the caller sent. Idempotent.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<Ok<SendAck>> RetractAsync(
        Caller caller, Guid roomId, long seq, MessageOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.RetractAsync(caller, roomId, seq, cancellationToken));

    [EndpointName("markDelivered"), EndpointSummary("Moves the caller's delivery cursor forward.")]
    private static Task<NoContent> MarkDeliveredAsync(
        Caller caller, Guid roomId, MarkDeliveredRequest request, LogStore log, CancellationToken cancellationToken) =>
        log.MarkDeliveredAsync(caller, roomId, request.Seq, cancellationToken).NoContentAsync();

    private static SendRequest InRoom(Guid roomId, SendRequest request, string field = "roomId") => request is null || request.RoomId != roomId
        ? throw ApiException.Invalid("roomId must be the room of the path.", field)
        : request;
}
