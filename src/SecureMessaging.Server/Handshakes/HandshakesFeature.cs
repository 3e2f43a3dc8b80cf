using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Handshakes;

/// <summary>MLS commits, proposals, Welcomes and the reset of a group over REST.</summary>
internal static class HandshakesFeature
{
    /// <summary>Hold, in base64, all handshakes of a commit with its roster change, and one handshake.</summary>
    private const int CommitBytes = (3 * 1024 * 1024) + (256 * 1024);
    private const int ProposalBytes = 1536 * 1024;
    private const int ReportBytes = 1024;

    public static void AddHandshakes(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<WelcomeStore>();
        services.AddSingleton<GroupResetStore>();
        services.AddSingleton<HandshakeStore>();
    }

    public static void MapHandshakes(this IEndpointRouteBuilder app)
    {
        var rooms = app.MapGroup("/v1/rooms/{roomId:guid}").RequireAuthorization().WithTags("Handshakes");
        rooms.MapPost("commits", CommitAsync).WithMetadata(new RequestSizeLimitAttribute(CommitBytes));
        rooms.MapPost("proposals", ProposeAsync).WithMetadata(new RequestSizeLimitAttribute(ProposalBytes));
        rooms.MapPost("invalid-commits", ReportAsync).WithMetadata(new RequestSizeLimitAttribute(ReportBytes));

        var welcomes = app.MapGroup("/v1/devices/{deviceId:guid}/welcomes").RequireAuthorization().WithTags("Handshakes").NeverStored();
        welcomes.MapGet("", ListWelcomesAsync);
        welcomes.MapDelete("{roomId:guid}/{seq:long}", AcknowledgeAsync);
    }

    [EndpointName("commit"), EndpointSummary("Ends an epoch of the room's MLS group.")]
    [EndpointDescription("Exactly one wins in each epoch. Who loses replays the log and tries again from where the group is.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict, ErrorCode.WrongEpoch, ErrorCode.QuotaExceeded)]
    internal static async Task<Ok<CommitAck>> CommitAsync(
        Caller caller, Guid roomId, CommitRequest request, HandshakeStore handshakes, RoomStore rooms, UserStore users, DeviceEvents events, ServerMetrics metrics, Limits limits,
        ByteQuotas quotas, CancellationToken cancellationToken)
    {
        var generation = HandshakeFraming.Require(roomId, request.Id, request.Epoch, request.Commit, ContentType.Commit, limits);
        var references = HandshakeFraming.RequireWelcomes(request, limits);
        var bytes = request.Commit.Length + (request.Welcomes?.Sum(welcome => (long)welcome.Length) ?? 0);
        quotas.Spend(caller.UserId, bytes);
        var plan = await PlanAsync(caller, roomId, request.Roster, rooms, users, limits, cancellationToken);
        try
        {
            var (ack, welcomed) = await handshakes.CommitAsync(
                caller, new Handshake(roomId, request.Id, request.Epoch, generation, request.Commit), plan, request.Welcomes ?? [], references, cancellationToken);
            metrics.Committed(ack.Duplicate ? "duplicate" : "won");
            if (!ack.Duplicate)
                quotas.Stored(roomId, bytes);
            foreach (var device in welcomed)
                events.RaiseWelcomesWaiting(device.UserId, device.DeviceId);
            return TypedResults.Ok(ack);
        }
        catch (ApiException exception)
        {
            metrics.Committed(exception.Code == ErrorCode.WrongEpoch ? "lost" : "refused");
            throw;
        }
    }

    [EndpointName("propose"), EndpointSummary("Stores an MLS Proposal, valid in the current epoch alone.")]
    [Refuses(ErrorCode.Conflict, ErrorCode.WrongEpoch, ErrorCode.QuotaExceeded)]
    internal static async Task<Ok<SendAck>> ProposeAsync(
        Caller caller, Guid roomId, ProposalRequest request, HandshakeStore handshakes, Limits limits, ByteQuotas quotas, CancellationToken cancellationToken)
    {
        var generation = HandshakeFraming.Require(roomId, request.Id, request.Epoch, request.Proposal, ContentType.Proposal, limits);
        quotas.Spend(caller.UserId, request.Proposal.Length);
        var ack = await handshakes.ProposeAsync(caller, new Handshake(roomId, request.Id, request.Epoch, generation, request.Proposal), cancellationToken);
        if (!ack.Duplicate)
            quotas.Stored(roomId, request.Proposal.Length);
        return TypedResults.Ok(ack);
    }

    [EndpointName("reportInvalidCommit"), EndpointSummary("Says that the room's newest commit cannot be applied.")]
    [Refuses(ErrorCode.Conflict)]
    private static async Task<Ok<InvalidCommitReport>> ReportAsync(
        Caller caller, Guid roomId, ReportInvalidCommitRequest request, GroupResetStore groups, CancellationToken cancellationToken) =>
        TypedResults.Ok(await groups.ReportAsync(caller, roomId, request.Seq, cancellationToken));

    [EndpointName("listWelcomes"), EndpointSummary("Welcomes that wait for the calling device, oldest first.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<Ok<PendingWelcome[]>> ListWelcomesAsync(Caller caller, Guid deviceId, WelcomeStore welcomes, CancellationToken cancellationToken) =>
        TypedResults.Ok(await welcomes.ListAsync(caller, deviceId, cancellationToken));

    [EndpointName("acknowledgeWelcome"), EndpointSummary("The device has stored the Welcome; it goes.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<NoContent> AcknowledgeAsync(
        Caller caller, Guid deviceId, Guid roomId, long seq, WelcomeStore welcomes, CancellationToken cancellationToken)
    {
        await welcomes.AcknowledgeAsync(caller, deviceId, roomId, seq, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<RosterPlan> PlanAsync(
        Caller caller, Guid roomId, RosterChange? change, RoomStore rooms, UserStore users, Limits limits, CancellationToken cancellationToken)
    {
        var (add, remove) = (change?.Add ?? [], change?.Remove ?? []);
        if (add.Length + remove.Length == 0)
            return RosterPlan.Nothing;
        if (add.Length > limits.RoomMembers || remove.Length > limits.RoomMembers)
            throw ApiException.TooMany($"A room has {limits.RoomMembers} members at most.", add.Length > limits.RoomMembers ? "roster/add" : "roster/remove");
        // Asked first, so that a stranger to the room does not learn from it who has an account.
        await rooms.GetAsync(caller, roomId, cancellationToken);
        var roles = new Dictionary<string, RoomRole>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < add.Length; i++)
        {
            if (add[i]?.Username is not { } username || !roles.TryAdd(username, add[i].Role))
                throw ApiException.Invalid("Each item of roster/add must name an account, and each a different one.", $"roster/add/{i}");
        }

        var found = await users.FindByUsernamesAsync(roles.Keys, cancellationToken);
        if (found.Count < roles.Count)
            throw new ApiException(ErrorCode.NotFound, "There is no account with one of the usernames in roster/add.");
        var plan = new RosterPlan([.. found.Select(user => (user.Id, roles[user.Username]))], remove);
        if (plan.Remove.Concat(plan.Add.Select(user => user.UserId)).GroupBy(id => id).Any(group => group.Skip(1).Any()))
            throw ApiException.Invalid("The roster change names an account twice.", "roster/remove");
        if (plan.Remove.Contains(caller.UserId) || plan.Add.Any(user => user.UserId == caller.UserId))
            throw ApiException.Invalid("The roster change cannot be about the caller.", plan.Remove.Contains(caller.UserId) ? "roster/remove" : "roster/add");
        return plan;
    }
}
