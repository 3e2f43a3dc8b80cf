using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Encryption;

/// <summary>MLS commits, proposals, Welcomes and the reset of a group over REST.</summary>
internal static class HandshakeEndpoints
{
    /// <summary>Enough for all handshakes of a commit with its roster change, in base64.</summary>
    private const int CommitBytes = (3 * 1024 * 1024) + (256 * 1024);
    private const int ProposalBytes = 1536 * 1024;
    private const int ReportBytes = 1024;

    public static void Map(IEndpointRouteBuilder app)
    {
        var rooms = app.MapGroup("/v1/rooms/{roomId:guid}").RequireAuthorization().WithTags("Handshakes");
        rooms.MapPost("commits", CommitAsync).WithMetadata(new RequestSizeLimitAttribute(CommitBytes));
        rooms.MapPost("proposals", ProposeAsync).WithMetadata(new RequestSizeLimitAttribute(ProposalBytes));
        rooms.MapPost("invalid-commits", ReportAsync).ShowLimit(limits => limits.InvalidCommits).WithMetadata(new RequestSizeLimitAttribute(ReportBytes));

        var welcomes = app.MapGroup("/v1/devices/{deviceId:guid}/welcomes").RequireAuthorization().WithTags("Handshakes").NeverStored();
        welcomes.MapGet("", ListWelcomesAsync);
        welcomes.MapDelete("{roomId:guid}/{seq:long}", AcknowledgeAsync);
    }

    [EndpointName("commit"), EndpointSummary("Ends an epoch of the room's MLS group.")]
    [EndpointDescription("Exactly one commit wins in each epoch. A client whose commit loses replays the log and retries in the new epoch.")]
    [Refuses(ErrorCode.Forbidden, ErrorCode.Conflict, ErrorCode.WrongEpoch, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<CommitAck>> CommitAsync(
        Caller caller, Guid roomId, CommitRequest request, HandshakeOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.CommitAsync(caller, roomId, request, cancellationToken));

    [EndpointName("propose"), EndpointSummary("Stores an MLS Proposal, valid only in the current epoch.")]
    [Refuses(ErrorCode.Conflict, ErrorCode.WrongEpoch, ErrorCode.QuotaExceeded)]
    private static async Task<Ok<SendAck>> ProposeAsync(
        Caller caller, Guid roomId, ProposalRequest request, HandshakeOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.ProposeAsync(caller, roomId, request, cancellationToken));

    [EndpointName("reportInvalidCommit"), EndpointSummary("Reports that the room's newest commit cannot be applied.")]
    [Refuses(ErrorCode.Conflict)]
    private static async Task<Ok<InvalidCommitReport>> ReportAsync(
        Caller caller, Guid roomId, ReportInvalidCommitRequest request, GroupResetOperations operations, CancellationToken cancellationToken) =>
        TypedResults.Ok(await operations.ReportAsync(caller, roomId, request, cancellationToken));

    [EndpointName("listWelcomes"), EndpointSummary("Welcomes that wait for the calling device, oldest first.")]
    [Refuses(ErrorCode.Forbidden)]
    private static async Task<Ok<PendingWelcome[]>> ListWelcomesAsync(
        Caller caller, Guid deviceId, WelcomeStore welcomes, CancellationToken cancellationToken) =>
        TypedResults.Ok(await welcomes.ListAsync(caller, deviceId, cancellationToken));

    [EndpointName("acknowledgeWelcome"), EndpointSummary("Confirms that the device has stored the Welcome, which the server then deletes.")]
    [Refuses(ErrorCode.Forbidden)]
    private static Task<NoContent> AcknowledgeAsync(
        Caller caller, Guid deviceId, Guid roomId, long seq, WelcomeStore welcomes, CancellationToken cancellationToken) =>
        welcomes.AcknowledgeAsync(caller, deviceId, roomId, seq, cancellationToken).NoContentAsync();
}
