using System.Data.Common;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Encryption;

/// <summary>
/// MLS commits and proposals, the same for all doors: the Delivery Service of MLS (RFC 9750 section 5). Of all commits for an epoch exactly one wins. Its
/// roster change and its Welcomes take effect in the same transaction. Reading and acknowledging Welcomes need no more than <see cref="WelcomeStore"/>, which
/// doors call directly.
/// </summary>
internal sealed class HandshakeOperations(
    HandshakeLog handshakes, RosterPlans plans, RosterStore roster, SettingsChanges settings, WelcomeStore welcomes, CommitThrottles throttles,
    DeviceEvents events, ServerMetrics metrics, Limits limits, ByteQuotas quotas)
{
    public async Task<CommitAck> CommitAsync(Caller caller, Guid roomId, CommitRequest request, CancellationToken cancellationToken)
    {
        var generation = HandshakeFraming.Require(roomId, request.Id, request.Epoch, request.Commit, MlsContentType.Commit, limits);
        var references = HandshakeFraming.RequireWelcomes(request, limits);
        var bytes = request.Commit.Length + (request.Welcomes?.Sum(welcome => (long)welcome.Length) ?? 0);
        quotas.Spend(caller.UserId, bytes);
        var plan = await plans.PlanAsync(caller, roomId, request.Roster, cancellationToken);
        var handshake = new Handshake(roomId, EntryKind.Commit, request.Id, request.Epoch, generation, request.Commit);
        List<WelcomedDevice>[] recipients = [];
        try
        {
            var ack = await handshakes.WriteAsync(
                caller, handshake,
                async (transaction, own, group) =>
                {
                    var (entries, seq) = await CommitAsync(transaction, caller, own, group, handshake, plan, cancellationToken);
                    // For devices of the members after the roster change.
                    recipients = await welcomes.FindAsync(transaction, roomId, references, cancellationToken);
                    for (var i = 0; i < recipients.Length; i++)
                        await welcomes.AddAsync(transaction, roomId, group.Generation, seq, i, request.Welcomes![i], recipients[i], cancellationToken);
                    return entries;
                },
                cancellationToken);
            metrics.Committed(ack.Duplicate ? "duplicate" : "won");
            if (!ack.Duplicate)
            {
                quotas.Stored(roomId, bytes);
                foreach (var device in recipients.SelectMany(devices => devices))
                    events.RaiseWelcomesWaiting(device.UserId, device.DeviceId);
            }

            return new CommitAck(roomId, request.Id, ack.Seq, request.Epoch + 1, ack.Duplicate);
        }
        catch (ApiException exception)
        {
            metrics.Committed(exception.Code == ErrorCode.WrongEpoch ? "lost" : "refused");
            throw;
        }
    }

    /// <summary>Appends a proposal. It must be of the current epoch, because a commit can refer to no other.</summary>
    public async Task<SendAck> ProposeAsync(Caller caller, Guid roomId, ProposalRequest request, CancellationToken cancellationToken)
    {
        var generation = HandshakeFraming.Require(roomId, request.Id, request.Epoch, request.Proposal, MlsContentType.Proposal, limits);
        quotas.Spend(caller.UserId, request.Proposal.Length);
        var handshake = new Handshake(roomId, EntryKind.Proposal, request.Id, request.Epoch, generation, request.Proposal);
        var ack = await handshakes.WriteAsync(
            caller, handshake,
            async (transaction, _, group) => handshake.Epoch == group.Epoch && handshake.Generation == group.Generation
                ? [await handshakes.AppendAsync(transaction, caller, handshake, group, cancellationToken)]
                : throw WrongEpoch(group),
            cancellationToken);
        if (!ack.Duplicate)
            quotas.Stored(roomId, request.Proposal.Length);
        return ack;
    }

    /// <summary>
    /// Advances the epoch, or rejects the commit. Appends the commit, then carries out the plan: members who leave still receive the commit that removes them,
    /// so that they can verify it.
    /// </summary>
    private async Task<(List<LogEntry> Entries, long Seq)> CommitAsync(
        DbTransaction transaction, Caller caller, RoomRole own, GroupRow group, Handshake handshake, RosterPlan plan, CancellationToken cancellationToken)
    {
        var roomId = handshake.RoomId;
        await throttles.RequireAllowedAsync(transaction, roomId, caller.UserId, cancellationToken);
        if (!await HandshakeStore.TryAdvanceAsync(transaction, handshake, cancellationToken))
            throw WrongEpoch(group);
        var commit = await handshakes.AppendAsync(transaction, caller, handshake, group, cancellationToken);
        List<LogEntry> entries =
        [
            commit,
            .. await roster.ApplyAsync(
                transaction, roomId, own, plan.Members, i => ApiException.UnknownMember($"roster/roles/{i}"), cancellationToken),
        ];
        if (plan.Settings is not null && await settings.ApplyAsync(transaction, roomId, own, plan.Settings, cancellationToken) is { } changed)
            entries.Add(changed);
        await HandshakeStore.NoteCommitAsync(transaction, roomId, commit.Seq, cancellationToken);
        await GroupResetStore.ForgetAsync(transaction, roomId, cancellationToken);
        return (entries, commit.Seq);
    }

    private static ApiException WrongEpoch(GroupRow group) => new(ErrorCode.WrongEpoch, "The room's group is in another epoch.") { CurrentEpoch = group.Epoch };
}
