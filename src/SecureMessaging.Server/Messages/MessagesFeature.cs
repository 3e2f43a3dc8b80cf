using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Messages;

/// <summary>The room log over REST; the hub's methods call the same code.</summary>
internal static class MessagesFeature
{
    public static void AddMessages(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<MessagesOptions>().BindConfiguration(MessagesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<OwnerProof>();
        services.AddSingleton<CommitFeed>();
        services.AddSingleton<LogStore>();
        services.AddSingleton<LogWindows>();
        services.AddSingleton<IEnvelopeAppend>(provider => provider.GetRequiredService<Database>() is { IsPostgres: true } postgres
            ? new PostgresEnvelopeAppend(postgres)
            : new SqliteEnvelopeAppend(provider.GetRequiredService<Database>()));
        services.AddSingleton<LogWriter>();
        services.AddHostedService(provider => provider.GetRequiredService<LogWriter>());
    }

    public static void MapMessages(this IEndpointRouteBuilder app)
    {
        var rooms = app.MapGroup("/v1/rooms").RequireAuthorization().WithTags("Messages");
        rooms.MapGet("heads", HeadsAsync).Conditional();
        rooms.MapGet("{roomId:guid}/log", ReadLogAsync).Conditional();
        rooms.MapPost("{roomId:guid}/messages", SendAsync).ShowLimit(limits => limits.Sends);
        rooms.MapPost("{roomId:guid}/messages/batch", SendBatchAsync).ShowLimit(limits => limits.Sends);
        rooms.MapDelete("{roomId:guid}/messages/{seq:long}", RetractAsync);
        rooms.MapPut("{roomId:guid}/delivered", MarkDeliveredAsync);
    }

    [EndpointName("listHeads"), EndpointSummary("Where the log of each of the caller's rooms stands.")]
    private static async Task<Ok<RoomHead[]>> HeadsAsync(Caller caller, LogStore log, CancellationToken cancellationToken) =>
        TypedResults.Ok(await log.HeadsAsync(caller, cancellationToken));

    [EndpointName("readLog"), EndpointSummary("A gapless stretch of the room's log, oldest first.")]
    [EndpointDescription("Forwards from afterSeq, or backwards from beforeSeq. A page may end early; Link names the pages around it.")]
    [ReplyHeader("200", "Link", "Pages around this one (RFC 8288): next, prev.", "</v1/rooms/2f9d1c40-6b7e-4a83-8c15-9e0f5d7a3b62/log?afterSeq=42&limit=100>; rel=\"next\"")]
    private static async Task<Ok<LogPage>> ReadLogAsync(
        HttpContext context, Caller caller, Guid roomId, LogStore log, LogWindows windows, CancellationToken cancellationToken,
        long afterSeq = 0, long? beforeSeq = null, int limit = 100)
    {
        var page = beforeSeq is { } end
            ? await ReadBackAsync(caller, roomId, new LogRange(afterSeq, end, limit, Backwards: true), windows, cancellationToken)
            : await log.SyncAsync(caller, roomId, afterSeq, limit, cancellationToken);
        if (Links(page, limit) is { Length: > 0 } links)
            context.Response.Headers.Link = links;
        return TypedResults.Ok(page);
    }

    private static async Task<LogPage> ReadBackAsync(Caller caller, Guid roomId, LogRange range, LogWindows windows, CancellationToken cancellationToken)
    {
        Positions.Require("afterSeq", range.AfterSeq);
        Positions.Require("beforeSeq", range.BeforeSeq, least: 1);
        LogStore.RequireLimit(range.Count);
        var window = (await windows.ReadAsync(caller, [roomId], range, cancellationToken)).GetValueOrDefault(roomId) ?? throw ApiException.NotFound();
        return new LogPage(roomId, [.. window.Entries], window.HeadSeq, window.FirstSeq);
    }

    /// <summary>Where the log goes on from this page. There is no next one at its end: who waits for what comes polls the same page, or connects to the hub.</summary>
    private static string Links(LogPage page, int limit)
    {
        if (page.Entries is not [{ Seq: var first }, ..])
            return "";
        var last = page.Entries[^1].Seq;
        var next = last < page.HeadSeq ? $"</v1/rooms/{page.RoomId}/log?afterSeq={last}&limit={limit}>; rel=\"next\"" : null;
        var previous = first > page.FirstSeq ? $"</v1/rooms/{page.RoomId}/log?beforeSeq={first}&limit={limit}>; rel=\"prev\"" : null;
        return string.Join(", ", new[] { next, previous }.OfType<string>());
    }

    [EndpointName("send"), EndpointSummary("Stores one envelope. Answers once it is durable.")]
    [EndpointDescription("Repeat it under the same clientMessageId until it is answered: it is stored once.")]
    [Refuses(ErrorCode.Conflict, ErrorCode.WrongEpoch, ErrorCode.EpochTooOld, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<SendAck>> SendAsync(Caller caller, Guid roomId, SendRequest request, LogWriter writer) =>
        TypedResults.Ok(await writer.SendAsync(caller, InRoom(roomId, request)));

    [EndpointName("sendBatch"), EndpointSummary("Stores several envelopes in order.")]
    [EndpointDescription("Each succeeds or fails alone, but after one that failed and may be repeated every later one fails so too.")]
    [Refuses(ErrorCode.QuotaExceeded)]
    private static async Task<Ok<SendResult[]>> SendBatchAsync(
        Caller caller, Guid roomId, SendRequest[] requests, LogWriter writer) =>
        TypedResults.Ok(await writer.SendBatchAsync(caller, [.. requests.Select((request, index) => InRoom(roomId, request, $"{index}/roomId"))]));

    [EndpointName("retract"), EndpointSummary("Takes back an entry that the caller sent. Idempotent.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<Ok<SendAck>> RetractAsync(Caller caller, Guid roomId, long seq, LogStore log, CancellationToken cancellationToken) =>
        TypedResults.Ok(await log.RetractAsync(caller, roomId, seq, cancellationToken));

    [EndpointName("markDelivered"), EndpointSummary("Moves the caller's delivery cursor forward.")]
    private static async Task<NoContent> MarkDeliveredAsync(
        Caller caller, Guid roomId, MarkDeliveredRequest request, LogStore log, CancellationToken cancellationToken)
    {
        await log.MarkDeliveredAsync(caller, roomId, request.Seq, cancellationToken);
        return TypedResults.NoContent();
    }

    private static SendRequest InRoom(Guid roomId, SendRequest request, string field = "roomId") => request is null || request.RoomId != roomId
        ? throw ApiException.Invalid("roomId must be the room of the path.", field)
        : request;
}
