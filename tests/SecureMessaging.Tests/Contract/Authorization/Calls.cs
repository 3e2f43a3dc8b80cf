using System.Text.Json;
using GraphQL;
using GraphQL.Types;
using Microsoft.Extensions.DependencyInjection;
using NSec.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary>
/// The arguments of each operation. Names with the same meaning everywhere have a default; an operation with a body, an input or other names has a
/// line here.
/// </summary>
internal static class Calls
{
    /// <summary>Operations on an object of one user that has no <c>deviceId</c> parameter.</summary>
    public static readonly HashSet<string> WithOwner = new(StringComparer.Ordinal)
    {
        "DELETE /v1/me/sessions/{id}", "mutation endSession", "PUT /v1/me/sessions/{id}/label", "mutation labelSession",
        "DELETE /v1/rooms/{roomId}/messages/{seq}", "mutation retract", "ChatHub.Retract",
        "DELETE /v1/rooms/{roomId}/members/{userId}", "mutation removeMember",
        "PUT /v1/me/identity",
    };

    /// <summary>Operations that delete the account or end all its sessions: each cell uses a new account.</summary>
    public static readonly HashSet<string> EndsEverything = new(StringComparer.Ordinal)
    {
        "POST /v1/me/delete", "mutation deleteAccount", "POST /v1/me/password", "mutation changePassword", "POST /v1/auth/logout-everywhere",
        "mutation logOutEverywhere",
    };

    public static readonly HashSet<string> Mls = new(StringComparer.Ordinal)
    {
        "POST /v1/rooms/{roomId}/commits", "POST /v1/rooms/{roomId}/proposals", "POST /v1/rooms/{roomId}/invalid-commits",
        "mutation commit", "mutation propose", "mutation reportInvalidCommit",
    };

    private const string PushEndpoint = "https://push.example.org/authorization";

    private static readonly Dictionary<string, Func<Cell, object>> Bodies = new(StringComparer.Ordinal)
    {
        ["POST /v1/auth/sign-up"] = _ => TestPeople.NewSignUp(),
        ["POST /v1/auth/token"] = cell => new TokenRequest(cell.Person.User.Username, cell.Person.User.Password),
        ["POST /v1/auth/refresh"] = cell => new RefreshRequest(cell.Grant.RefreshToken),
        ["PATCH /v1/me"] = cell => new UpdateProfileRequest(cell.Person.User.Email, cell.Person.User.Password),
        ["PUT /v1/me/settings"] = _ => new NotificationSettings(Muted: true),
        ["PUT /v1/me/settings/rooms/{roomId}"] = _ => new NotificationSettings(Muted: true),
        ["PUT /v1/me/privacy"] = _ => new PrivacySettings(DeliveryCursor: true),
        ["PUT /v1/me/push"] = _ => new RegisterPushRequest(PushEndpoint),
        ["POST /v1/me/password"] = cell => new ChangePasswordRequest(cell.Person.User.Password, cell.Person.User.Password),
        ["POST /v1/me/delete"] = cell => new DeleteAccountRequest(cell.Person.User.Password),
        ["PUT /v1/me/identity"] = cell => new ReplaceIdentityRequest(cell.Device!.Id, Key(cell), Signature(cell)),
        ["PUT /v1/me/device-list"] = cell => new PublishDeviceListRequest(cell.Person.FirstList),
        ["PUT /v1/me/sessions/{id}/label"] = _ => new LabelSessionRequest([1]),
        ["POST /v1/rooms"] = cell => new CreateRoomRequest(RoomKind.Group, [cell.Scene.Bystander.User.Username]),
        ["PATCH /v1/rooms/{roomId}"] = _ => new ChangeRoomRequest { Name = [1], TimeToLiveSeconds = 3600 },
        ["POST /v1/rooms/{roomId}/members"] = cell => new AddMemberRequest(cell.Scene.Bystander.User.Username),
        ["PATCH /v1/rooms/{roomId}/members/{userId}"] = _ => new ChangeRoleRequest(RoomRole.Admin),
        ["POST /v1/rooms/{roomId}/messages"] = Send,
        ["POST /v1/rooms/{roomId}/messages/batch"] = cell => new[] { Send(cell) },
        ["PUT /v1/rooms/{roomId}/delivered"] = cell => new MarkDeliveredRequest(cell.Seq),
        ["POST /v1/rooms/{roomId}/signals"] = _ => new SignalRequest([1]),
        ["POST /v1/rooms/{roomId}/commits"] = cell => new CommitRequest(Guid.NewGuid(), 1, TestMls.Commit(cell.RoomId, 1)),
        ["POST /v1/rooms/{roomId}/proposals"] = cell => new ProposalRequest(Guid.NewGuid(), 1, TestMls.Proposal(cell.RoomId, 1)),
        ["POST /v1/rooms/{roomId}/invalid-commits"] = cell => new ReportInvalidCommitRequest(cell.Seq),
        ["POST /v1/devices"] = cell => cell.Device!.Registration(),
        ["PUT /v1/devices/{deviceId}/approval"] = cell => new ApproveDeviceRequest(Signature(cell)),
        ["PUT /v1/devices/{deviceId}/keys"] = cell => Rotation(cell),
        ["POST /v1/devices/{deviceId}/key-packages"] = cell => new UploadKeyPackagesRequest([cell.Device!.NewKeyPackage().Encode()]),
        ["POST /v1/key-packages/claim"] = cell => new ClaimKeyPackagesRequest([cell.Scene.Target.User.Id]),
        ["POST /graphql"] = _ => new { query = "{ __typename }" },
    };

    /// <summary>Values by operation and name, where the name alone is ambiguous.</summary>
    private static readonly Dictionary<string, Func<Cell, object?>> Values = new(StringComparer.Ordinal)
    {
        ["query room.id"] = cell => cell.RoomId,
        ["mutation signUp.input"] = _ => TestPeople.NewSignUp().Camel(),
        ["mutation createRoom.input"] = cell => new { members = new[] { cell.Scene.Bystander.User.Username } },
        ["mutation send.input"] = cell => Send(cell).Camel(),
        ["mutation sendBatch.inputs"] = cell => new[] { Send(cell).Camel() },
        ["mutation registerDevice.input"] = cell => cell.Device!.Registration().Camel(),
        ["mutation commit.input"] = cell => new { id = Guid.NewGuid(), epoch = 1, commit = TestMls.Commit(cell.RoomId, 1) },
        ["mutation publishDeviceList.list"] = cell => cell.Person.FirstList,
        ["query deviceLists.after"] = _ => 0,
        ["mutation signIn.username"] = cell => cell.Person.User.Username,
        ["mutation addMember.username"] = cell => cell.Scene.Bystander.User.Username,
        ["mutation addMember.role"] = _ => "MEMBER",
        ["mutation addMember.userId"] = _ => null,
        ["mutation rotateDevice.signatureKey"] = cell => Rotation(cell).SignatureKey,
        ["mutation rotateDevice.identitySignature"] = cell => cell.Rotated!.IdentitySignature,
        ["mutation changeSettings.settings"] = _ => new { muted = true },
        ["mutation changeSettingsOfRoom.settings"] = _ => new { muted = true },
        ["mutation changePrivacy.deliveryCursor"] = _ => true,
        ["mutation registerPush.endpoint"] = _ => PushEndpoint,
        ["ChatHub.Send.request"] = cell => Send(cell),
        ["ChatHub.SendBatch.requests"] = cell => new[] { Send(cell) },
        ["ChatHub.Sync.afterSeq"] = cell => cell.Seq,
        ["ChatHub.Sync.limit"] = _ => 10,
        ["AdminHub.Follow.filter"] = _ => new LogFilter(LogSeverity.Error),
        ["subscription entries.after"] = _ => Array.Empty<object>(),
    };

    /// <summary>Values by name, for all operations.</summary>
    private static readonly Dictionary<string, Func<Cell, object?>> Names = new(StringComparer.Ordinal)
    {
        ["roomId"] = cell => cell.RoomId,
        ["userId"] = cell => cell.Others ? cell.Scene.Target.User.Id : cell.Person.User.Id,
        ["username"] = cell => cell.Scene.Target.User.Username,
        ["id"] = cell => cell.Others ? cell.Scene.Target.User.Tokens.SessionId : cell.Grant.SessionId,
        ["deviceId"] = cell => cell.Device?.Id ?? Guid.NewGuid(),
        ["seq"] = cell => cell.Seq,
        ["afterSeq"] = _ => 0,
        ["known"] = _ => Array.Empty<Guid>(),
        ["role"] = _ => "ADMIN",
        ["settings"] = _ => new { name = "AQ==" },
        ["signal"] = _ => new byte[] { 1 },
        ["email"] = cell => cell.Person.User.Email,
        ["password"] = cell => cell.Person.User.Password,
        ["currentPassword"] = cell => cell.Person.User.Password,
        ["newPassword"] = cell => cell.Person.User.Password,
        ["refreshToken"] = cell => cell.Grant.RefreshToken,
        ["epoch"] = _ => 1,
        ["proposal"] = cell => TestMls.Proposal(cell.RoomId, 1),
        ["identityKey"] = Key,
        ["identitySignature"] = Signature,
        ["linkKey"] = cell => cell.Device!.LinkKey,
        ["keyPackages"] = cell => new[] { cell.Device!.NewKeyPackage().Encode() },
        ["userIds"] = cell => new[] { cell.Scene.Target.User.Id },
    };

    /// <summary>Accounts that an administrator disables and enables are used by no other cell.</summary>
    private static bool IsForAdministrators(Operation operation) => operation.Name.Contains("/admin/", StringComparison.Ordinal)
        || operation.Name is "mutation disableUser" or "mutation enableUser";

    public static bool NeedsDevice(Operation operation) =>
        operation.Parameters.Contains("deviceId") || operation.Name is "POST /v1/devices" or "mutation registerDevice" or "PUT /v1/me/identity";

    public static bool NeedsRoom(Operation operation) => operation.Parameters.Contains("roomId")
        || Values.Keys.Any(key => key.StartsWith(operation.Name + ".", StringComparison.Ordinal) && key is "query room.id")
        || operation.Name is "mutation send" or "mutation sendBatch" or "ChatHub.Send" or "ChatHub.SendBatch";

    public static object? Value(Operation operation, string name, Cell cell)
    {
        if (Values.TryGetValue($"{operation.Name}.{name}", out var own))
            return own(cell);
        if (name == "username" && IsForAdministrators(operation))
            return cell.Scene.Bystander.User.Username;
        // Operations on accounts have no own object: the account to change is the target.
        if (name == "userId" && !operation.Objects.Contains("own"))
            return cell.Scene.Target.User.Id;
        return Names.TryGetValue(name, out var known) ? known(cell) : operation is RestOperation ? "x" : null;
    }

    public static object Body(RestOperation operation, Cell cell) => Bodies.TryGetValue(operation.Name, out var body) ? body(cell) : new { };

    public static string Query(RestOperation operation) => operation.Name == "GET /graphql" ? "?query={__typename}" : "";

    public static object?[] Arguments(HubOperation operation, Cell cell) =>
        [.. operation.Method.GetParameters().Select(parameter => Value(operation, parameter.Name!, cell))];

    /// <summary>The field with all its arguments as variables; unknown arguments get a value of their type.</summary>
    public static (string Query, Dictionary<string, object?> Variables) Document(GraphQLOperation operation, Cell cell)
    {
        var arguments = operation.Field.Arguments?.ToList() ?? [];
        var variables = arguments.ToDictionary(argument => argument.Name, argument => Value(operation, argument.Name, cell)
            ?? (argument.ResolvedType is NonNullGraphType ? MakeUp(argument.ResolvedType) : null), StringComparer.Ordinal);
        var declared = arguments.Count == 0 ? "" : $"({string.Join(", ", arguments.Select(argument => $"${argument.Name}: {argument.ResolvedType}"))})";
        var passed = arguments.Count == 0 ? "" : $"({string.Join(", ", arguments.Select(argument => $"{argument.Name}: ${argument.Name}"))})";
        // Parts of a batch succeed or fail one by one.
        var selection = operation.Name == "mutation sendBatch" ? " { error { code } }" : operation.Field.ResolvedType!.GetNamedType() is IComplexGraphType
            ? " { __typename }" : "";
        return ($"{operation.Root}{declared} {{ {operation.Field.Name}{passed}{selection} }}", variables);
    }

    /// <summary>Causes an event for subscriptions to ephemeral data.</summary>
    public static async Task PokeAsync(Scene scene, Cell cell)
    {
        scene.Server.Services.GetRequiredService<DeviceEvents>().RaiseKeyPackagesLow(cell.Person.User.Id, Guid.NewGuid(), 1);
        await scene.Target.User.Http.ReplyAsync("mutation($r: ID!) { signal(roomId: $r, signal: \"AQ==\") }", new { r = cell.RoomId });
    }

    private static SendRequest Send(Cell cell) => new(cell.RoomId, Guid.NewGuid(), [1]);

    private static byte[] Key(Cell cell) => cell.Person.Identity.PublicKey.Export(KeyBlobFormat.RawPublicKey);

    private static byte[] Signature(Cell cell) => cell.Device is { } device ? TestDevice.Sign(device.Identity, device.User.Id, device.Id, device.PublicKey)
        : new byte[64];

    private static RotateDeviceRequest Rotation(Cell cell)
    {
        using var key = TestDevice.NewKey();
        var signatureKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        var device = cell.Device!;
        return cell.Rotated = new RotateDeviceRequest(signatureKey, device.LinkKey, TestDevice.Sign(device.Identity, device.User.Id, device.Id, signatureKey));
    }

    private static object? MakeUp(IGraphType type) => type switch
    {
        NonNullGraphType required => MakeUp(required.ResolvedType!) ?? "x",
        ListGraphType => Array.Empty<object>(),
        EnumerationGraphType values => values.Values.First().Name,
        IInputObjectGraphType input => input.Fields.Where(field => field.ResolvedType is NonNullGraphType && field.DefaultValue is null)
            .ToDictionary(field => field.Name, field => MakeUp(field.ResolvedType!), StringComparer.Ordinal),
        { Name: "Boolean" } => false,
        { Name: "Int" or "Long" } => 1,
        { Name: "ID" } => Guid.NewGuid(),
        { Name: "Base64" } => "AQ==",
        _ => "x",
    };

    /// <summary>A record of the contract with the wire names of its members.</summary>
    private static JsonElement Camel(this object request) => JsonSerializer.SerializeToElement(request, request.GetType(), Wire.Json);
}
