using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Encryption;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// MLS commits, proposals, Welcomes and the reset of a group. A large commit needs HTTP, because a WebSocket message may have at most 512 KiB.
/// </summary>
internal sealed class HandshakeFields(HandshakeOperations operations, WelcomeStore welcomes, GroupResetOperations groups) : IRootFields
{
    private const int UsualWelcomes = 5;
    private const int WriteCost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Many<PendingWelcomeType>("welcomes", "Welcomes that wait for the calling device, oldest first.", UsualWelcomes)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveAsync(async context => await welcomes.ListAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
        mutation.Required<CommitAckType>("commit", "Ends an epoch of the room's MLS group. Exactly one commit wins in each epoch.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<CommitInput>>("input", "The commit.")
            .ResolveAsync(async context => await operations.CommitAsync(
                context.Caller(), context.Id("roomId"), context.GetArgument<CommitRequest>("input"), context.CancellationToken));
        mutation.Required<SendAckType>("propose", "Stores an MLS Proposal, valid only in the current epoch.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<IdGraphType>>("id", "Chosen by the client (random, version 4).")
            .Argument<NonNullGraphType<LongType>>("epoch", "The current epoch.")
            .Argument<NonNullGraphType<Base64Type>>("proposal", "MLSMessage with a PrivateMessage of content type proposal.")
            .ResolveAsync(async context =>
            {
                var request = new ProposalRequest(context.Id("id"), context.GetArgument<long>("epoch"), context.GetArgument<byte[]>("proposal"));
                return await operations.ProposeAsync(context.Caller(), context.Id("roomId"), request, context.CancellationToken);
            });
        mutation.Required<InvalidCommitReportType>("reportInvalidCommit", "Reports that the room's newest commit cannot be applied.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The seq of the commit.")
            .ResolveAsync(async context => await groups.ReportAsync(
                context.Caller(), context.Id("roomId"), new ReportInvalidCommitRequest(context.GetArgument<long>("seq")), context.CancellationToken));
        mutation.Required<BooleanGraphType>(
            "acknowledgeWelcome", "Confirms that the device has stored the Welcome, which the server then deletes.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The seq of the commit.")
            .ResolveDoneAsync(context => welcomes.AcknowledgeAsync(
                context.Caller(), context.Id("deviceId"), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken));
    }
}
