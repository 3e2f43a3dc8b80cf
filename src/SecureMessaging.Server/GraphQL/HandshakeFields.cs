using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Handshakes;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

/// <summary>MLS commits, proposals, Welcomes and the reset of a group. A large commit goes by HTTP: a socket's messages are smaller.</summary>
internal sealed class HandshakeFields(
    HandshakeStore handshakes, WelcomeStore welcomes, GroupResetStore groups, RoomStore rooms, UserStore users, DeviceEvents events, ServerMetrics metrics, Limits limits,
    ByteQuotas quotas)
    : IRootFields
{
    private const int UsualWelcomes = 5;
    private const int WriteCost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Many<PendingWelcomeType>("welcomes", "Welcomes that wait for the calling device, oldest first.", UsualWelcomes)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .ResolveAsync(async context => await welcomes.ListAsync(context.Caller(), context.Id("deviceId"), context.CancellationToken));
        mutation.Required<CommitAckType>("commit", "Ends an epoch of the room's MLS group. Exactly one wins in each epoch.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<CommitInput>>("input", "The commit.")
            .ResolveAsync(async context => (await HandshakesFeature.CommitAsync(
                context.Caller(), context.Id("roomId"), context.GetArgument<CommitRequest>("input"), handshakes, rooms, users, events, metrics, limits, quotas,
                context.CancellationToken)).Value);
        mutation.Required<SendAckType>("propose", "Stores an MLS Proposal, valid in the current epoch alone.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<IdGraphType>>("id", "Names the proposal, random (version 4).")
            .Argument<NonNullGraphType<LongType>>("epoch", "The current epoch.")
            .Argument<NonNullGraphType<Base64Type>>("proposal", "MLSMessage holding a PrivateMessage of content type proposal.")
            .ResolveAsync(async context =>
            {
                var request = new ProposalRequest(context.Id("id"), context.GetArgument<long>("epoch"), context.GetArgument<byte[]>("proposal"));
                return (await HandshakesFeature.ProposeAsync(context.Caller(), context.Id("roomId"), request, handshakes, limits, quotas, context.CancellationToken)).Value;
            });
        mutation.Required<InvalidCommitReportType>("reportInvalidCommit", "Says that the room's newest commit cannot be applied.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The commit's place in the log.")
            .ResolveAsync(async context => await groups.ReportAsync(context.Caller(), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken));
        mutation.Required<BooleanGraphType>("acknowledgeWelcome", "The device has stored the Welcome; it goes.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("deviceId", "The device.")
            .Argument<NonNullGraphType<IdGraphType>>("roomId", "The room.")
            .Argument<NonNullGraphType<LongType>>("seq", "The commit's place in the log.")
            .ResolveAsync(async context =>
            {
                await welcomes.AcknowledgeAsync(context.Caller(), context.Id("deviceId"), context.Id("roomId"), context.GetArgument<long>("seq"), context.CancellationToken);
                return true;
            });
    }
}
