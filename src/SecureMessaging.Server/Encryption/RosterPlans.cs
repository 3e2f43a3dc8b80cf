using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.Encryption;

internal sealed record RosterPlan(RosterEdit Members, ChangeRoomRequest? Settings);

/// <summary>Checks the roster change of a commit, as far as that needs no lock, and finds the accounts that it names.</summary>
internal sealed class RosterPlans(UserStore users, LogStore log, SettingsChanges settings, Limits limits)
{
    public async Task<RosterPlan> PlanAsync(Caller caller, Guid roomId, RosterChange? change, CancellationToken cancellationToken)
    {
        var (add, remove, roles) = (change?.Add ?? [], change?.Remove ?? [], change?.Roles ?? []);
        RequireSettings(change?.Settings);
        if (add.Length + remove.Length + roles.Length == 0)
            return new RosterPlan(RosterEdit.Nothing, change?.Settings);
        foreach (var (field, count) in new[] { ("roster/add", add.Length), ("roster/remove", remove.Length), ("roster/roles", roles.Length) })
        {
            if (count > limits.RoomMembers)
                throw ApiException.TooMany($"A room may have at most {limits.RoomMembers} members.", field);
        }

        // First, so that a stranger to the room does not learn whether an account exists.
        await log.RequireMemberAsync(caller, roomId, cancellationToken);
        if (Array.IndexOf(roles, null) is >= 0 and var empty)
            throw ApiException.Invalid("A role must not be null.", $"roster/roles/{empty}");
        var edit = new RosterEdit(remove, await FindAsync(add, cancellationToken), roles);
        RequireDistinct(caller, edit);
        return new RosterPlan(edit, change?.Settings);
    }

    /// <summary>The accounts to add, in the order of the request.</summary>
    private async Task<List<(Guid UserId, RoomRole Role)>> FindAsync(AddMemberRequest[] add, CancellationToken cancellationToken)
    {
        for (var i = 0; i < add.Length; i++)
        {
            if (add[i] is null || add[i].Username is null == add[i].UserId is null)
                throw ApiException.Invalid("Each item of roster/add must have either username or userId.", $"roster/add/{i}");
        }

        var byName = (await users.FindByUsernamesAsync([.. add.Select(item => item.Username).OfType<string>()], cancellationToken))
            .ToDictionary(user => user.Username, user => user.Id, StringComparer.OrdinalIgnoreCase);
        var byId = (await users.FindByIdsAsync([.. add.Select(item => item.UserId).OfType<Guid>()], cancellationToken)).Select(user => user.Id).ToHashSet();
        var found = new List<(Guid UserId, RoomRole Role)>();
        for (var i = 0; i < add.Length; i++)
        {
            if (add[i].Username is { } username ? !byName.TryGetValue(username, out var id) : !byId.Contains(id = add[i].UserId!.Value))
                throw ApiException.UnknownAccount($"roster/add/{i}");
            found.Add((id, add[i].Role));
        }

        return found;
    }

    private static void RequireDistinct(Caller caller, RosterEdit edit)
    {
        var named = new HashSet<Guid>();
        for (var i = 0; i < edit.Add.Count; i++)
            Require($"roster/add/{i}", edit.Add[i].UserId, mayBeCaller: false);
        for (var i = 0; i < edit.Remove.Count; i++)
            Require($"roster/remove/{i}", edit.Remove[i], mayBeCaller: false);
        for (var i = 0; i < edit.Roles.Count; i++)
            Require($"roster/roles/{i}", edit.Roles[i].UserId, mayBeCaller: true);

        void Require(string field, Guid userId, bool mayBeCaller)
        {
            if (!named.Add(userId))
                throw ApiException.Invalid("The roster change names an account twice.", field);
            if (userId == caller.UserId && !mayBeCaller)
                throw ApiException.Invalid("Members that join or leave with a commit must not include the caller.", field);
        }
    }

    private void RequireSettings(ChangeRoomRequest? request)
    {
        if (request is null)
            return;
        try
        {
            settings.Require(request);
        }
        catch (ApiException exception)
        {
            throw exception.Within("roster/settings");
        }
    }
}
