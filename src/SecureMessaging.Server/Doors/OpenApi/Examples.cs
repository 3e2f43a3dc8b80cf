using System.Buffers.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Privacy;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>An example of each record of the REST API, for the document. A test fails for a record without an example.</summary>
internal static class Examples
{
    public static readonly Guid AnnaId = new("7d3f6a1e-52c0-4b6a-9d4f-0c8f6b1e2a37");
    public static readonly Guid BenId = new("b1c7e0d2-8f34-4c19-a5e6-3d2b9a704f58");
    public static readonly Guid CarlId = new("c5d2f8a1-6e47-4b90-8d13-9a0b7c4e2f66");
    public static readonly Guid RoomId = new("2f9d1c40-6b7e-4a83-8c15-9e0f5d7a3b62");
    public static readonly Guid SessionId = new("e4a8b5c3-1d92-4f07-b6a0-58c2d9e1f374");
    public static readonly Guid DeviceId = new("94c0f7b8-3e5a-4d21-8b9c-6f1a0e2d7c45");

    private static readonly Guid MessageId = new("5a6b7c8d-9e0f-4a1b-82c3-d4e5f6a7b8c9");
    private static readonly DateTime Day = new(2026, 5, 4, 0, 0, 0, DateTimeKind.Utc);
    private static readonly DateTime Minute = new(2026, 5, 4, 9, 30, 0, DateTimeKind.Utc);
    private static readonly byte[] Ciphertext = Bytes(24);
    private static readonly byte[] MlsMessage = [0, 1, 0, 2, .. Bytes(20)];
    private static readonly string VapidKey = Base64Url.EncodeToString([4, .. Bytes(64)]);
    private static readonly NotificationSettings Night = new(QuietFrom: 22 * 60, QuietUntil: 7 * 60, TimeZone: "Europe/Vienna");
    private static readonly Dictionary<string, JsonElement> TicketHeld = new(StringComparer.Ordinal)
    {
        ["hash"] = JsonElement.Parse("\"held, not shown\""),
        ["session_id"] = JsonElement.Parse($"\"{SessionId}\""),
        ["expires_at"] = JsonElement.Parse("\"2026-05-04T09:30:00Z\""),
    };

    private static readonly Device OwnDevice = new(
        DeviceId, Schemes.Mls10, Bytes(32), Bytes(32), Approved: true, Current: true, Day, Day, Bytes(12), Bytes(32), Bytes(64));
    private static readonly UserKeys Keys = new(BenId, "ben", Bytes(32), [new DeviceKeys(DeviceId, Bytes(32), Bytes(64))]);
    private static readonly SendRequest Send = new(RoomId, MessageId, Ciphertext);
    private static readonly SendAck Sent = new(RoomId, MessageId, 42, Minute, Duplicate: false);
    private static readonly RosterChange Roster = new(
        [new AddMemberRequest(UserId: CarlId)], [BenId], [new MemberRole(AnnaId, RoomRole.Admin)], new ChangeRoomRequest { TimeToLiveSeconds = 7 * 24 * 3600 });

    private static readonly Dictionary<Type, object> All = new object[]
    {
        new SignUpRequest("anna", "anna@example.org", "a long enough password"),
        new TokenRequest("anna", "a long enough password"),
        new RefreshRequest("bmV3ZXN0LXJlZnJlc2gtdG9rZW4"),
        new TokenResponse(AnnaId, "anna", SessionId, "header.payload.signature", 600, "bmV3ZXN0LXJlZnJlc2gtdG9rZW4", Minute.AddDays(90)),
        new TicketResponse("c2luZ2xlLXVzZS10aWNrZXQ", 30),
        new KeySet([new PublicKey(
            "EC", "P-256", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "2026-05-04", "sig", "ES256")]),
        new Profile(AnnaId, "anna", "anna@example.org", Day, "user"),
        new UpdateProfileRequest("anna@example.com", "a long enough password"),
        new ChangePasswordRequest("a long enough password", "another long password"),
        new PrivacySettings(DeliveryCursor: false),
        new DeleteAccountRequest("a long enough password"),
        new SessionSummary(SessionId, Day.AddHours(9), null, Current: true),
        new LabelSessionRequest(Bytes(40)),
        Night,
        new AccountSettings(
            new NotificationSettings(), new Dictionary<Guid, NotificationSettings> { [RoomId] = Night }, new PushStatus(VapidKey, Registered: false)),
        new PersonalData(
            Minute, new Dictionary<string, IReadOnlyList<IReadOnlyDictionary<string, JsonElement>>>(StringComparer.Ordinal) { ["tickets"] = [TicketHeld] }),
        new RegisterPushRequest("https://push.example.net/send/c29tZXRoaW5nLWxvbmc"),
        new UserSummary(BenId, "ben"),
        new CreateRoomRequest(RoomKind.Group, ["ben"], Id: RoomId),
        new Room(RoomId, RoomKind.Group, null, Visible: false, null, Day, 0, RoomRole.Owner, 42, 1, 41, 1),
        new ChangeRoomRequest { TimeToLiveSeconds = 7 * 24 * 3600 },
        new RoomMember(BenId, "ben", RoomRole.Member),
        new AddMemberRequest("ben"),
        new ChangeRoleRequest(RoomRole.Admin),
        new RoomHead(RoomId, 42, 1, 41, 1),
        new LogPage(RoomId, [new LogEntry(42, EntryKind.Message, Minute, MessageId, Ciphertext)], 42, 1),
        Send,
        Sent,
        new SendResult(Sent, null),
        new MarkDeliveredRequest(42),
        new SignalRequest(Bytes(6)),
        new RegisterDeviceRequest(DeviceId, Bytes(32), Bytes(32), Bytes(32), Bytes(64), Bytes(12)),
        OwnDevice,
        new ApproveDeviceRequest(Bytes(64), Bytes(48)),
        new RotateDeviceRequest(Bytes(32), Bytes(32), Bytes(64)),
        new ReplaceIdentityRequest(DeviceId, Bytes(32), Bytes(64)),
        Keys,
        new PublishDeviceListRequest(Bytes(48)),
        new StoredDeviceList(2),
        new DeviceLists(2, [Bytes(48)]),
        new UploadKeyPackagesRequest([MlsMessage], MlsMessage),
        new KeyPackageStock(100, LastResort: true, LastResortUsed: false),
        new ClaimKeyPackagesRequest([BenId]),
        new ClaimedKeyPackages([new ClaimedKeyPackage(BenId, DeviceId, MlsMessage)]),
        new CommitRequest(MessageId, 7, MlsMessage, [MlsMessage], Roster),
        new CommitAck(RoomId, MessageId, 43, 8, Duplicate: false),
        new ProposalRequest(MessageId, 7, MlsMessage),
        new ReportInvalidCommitRequest(43),
        new InvalidCommitReport(Reset: false, 0),
        new PendingWelcome(RoomId, 0, 43, MlsMessage),
        new AdminStats("node-1", 20, 1, 1, 24, 8, 5000),
        Limits.Default with { AccountBytesPerDay = 256 * 1024 * 1024, RoomBytesPerDay = 1024 * 1024 * 1024, RoomBytes = 10L * 1024 * 1024 * 1024 },
        new Health("healthy", new Dictionary<string, string>(StringComparer.Ordinal) { ["database"] = "healthy" }),
    }.ToDictionary(example => example.GetType());

    /// <summary>An example of the type, or of a list of it. Null: there is none.</summary>
    public static JsonNode? Of(Type type)
    {
        var element = type.IsArray ? type.GetElementType()! : type.IsGenericType ? type.GetGenericArguments()[0] : type;
        if (!All.TryGetValue(element, out var example))
            return null;
        var node = JsonSerializer.SerializeToNode(example, element, Wire.Json);
        return element == type ? node : new JsonArray(node);
    }

    /// <summary>Bytes that look random, and are the same in each run.</summary>
    private static byte[] Bytes(int count) => [.. Enumerable.Range(1, count).Select(index => (byte)(index * 83))];
}
