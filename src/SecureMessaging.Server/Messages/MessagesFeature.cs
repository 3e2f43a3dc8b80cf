using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
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
        rooms.MapGet("heads", HeadsAsync);
        rooms.MapGet("{roomId:guid}/log", SyncAsync);
        rooms.MapPost("{roomId:guid}/messages", SendAsync).ShowLimit(limits => limits.Sends);
        rooms.MapPost("{roomId:guid}/messages/batch", SendBatchAsync).ShowLimit(limits => limits.Sends);
        rooms.MapDelete("{roomId:guid}/messages/{seq:long}", RetractAsync);
        rooms.MapPut("{roomId:guid}/delivered", MarkDeliveredAsync);
    }

    private static async Task<Ok<RoomHead[]>> HeadsAsync(Caller caller, LogStore log, CancellationToken cancellationToken) =>
        TypedResults.Ok(await log.HeadsAsync(caller, cancellationToken));

    private static async Task<Ok<LogPage>> SyncAsync(
        Caller caller, Guid roomId, LogStore log, CancellationToken cancellationToken, long afterSeq = 0, int limit = 100) =>
        TypedResults.Ok(await log.SyncAsync(caller, roomId, afterSeq, limit, cancellationToken));

    private static async Task<Ok<SendAck>> SendAsync(Caller caller, Guid roomId, SendRequest request, LogWriter writer, CancellationToken cancellationToken) =>
        TypedResults.Ok(await writer.SendAsync(caller, InRoom(roomId, request), cancellationToken));

    private static async Task<Ok<SendResult[]>> SendBatchAsync(
        Caller caller, Guid roomId, SendRequest[] requests, LogWriter writer, CancellationToken cancellationToken) =>
        TypedResults.Ok(await writer.SendBatchAsync(caller, [.. requests.Select(request => InRoom(roomId, request))], cancellationToken));

    private static async Task<Ok<SendAck>> RetractAsync(Caller caller, Guid roomId, long seq, LogStore log, CancellationToken cancellationToken) =>
        TypedResults.Ok(await log.RetractAsync(caller, roomId, seq, cancellationToken));

    private static async Task<NoContent> MarkDeliveredAsync(
        Caller caller, Guid roomId, MarkDeliveredRequest request, LogStore log, CancellationToken cancellationToken)
    {
        await log.MarkDeliveredAsync(caller, roomId, request.Seq, cancellationToken);
        return TypedResults.NoContent();
    }

    private static SendRequest InRoom(Guid roomId, SendRequest request) => request is null || request.RoomId != roomId
        ? throw ApiException.Invalid("roomId must be the room of the path.")
        : request;
}
