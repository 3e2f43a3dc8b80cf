namespace SecureMessaging.Protocol;

/// <summary>
/// Every limit of the wire contract, reported at <c>GET /v1/limits</c>. An operator can lower them, and sets the quotas of bytes.
/// </summary>
public sealed record Limits
{
    /// <summary>The limits of the contract, which are also the defaults.</summary>
    public static Limits Default { get; } = new();

    /// <summary>Bytes of one application envelope's ciphertext.</summary>
    public int CiphertextBytes { get; init; } = 32 * 1024;

    /// <summary>Bytes of one handshake (MLS Commit or Welcome), sent over HTTP.</summary>
    public int HandshakeBytes { get; init; } = 1024 * 1024;

    /// <summary>Bytes of one ephemeral signal.</summary>
    public int SignalBytes { get; init; } = 1024;

    /// <summary>Entries in one page of a room's log.</summary>
    public int PageEntries { get; init; } = 500;

    /// <summary>Sends in one batch.</summary>
    public int BatchSends { get; init; } = 64;

    /// <summary>Bytes of ciphertext in one batch.</summary>
    public int BatchBytes { get; init; } = 256 * 1024;

    /// <summary>Bytes of ciphertext in one page of a room's log; a page ends early, after at least one entry, when the next would exceed it.</summary>
    public int PageBytes { get; init; } = 1024 * 1024;

    /// <summary>Bytes of all handshakes of one commit together.</summary>
    public int CommitBytes { get; init; } = 2 * 1024 * 1024;

    /// <summary>KeyPackages of one device, without those of last resort; also of one upload.</summary>
    public int KeyPackages { get; init; } = 100;

    /// <summary>Bytes of one KeyPackage.</summary>
    public int KeyPackageBytes { get; init; } = 4 * 1024;

    /// <summary>Accounts of one claim of KeyPackages.</summary>
    public int ClaimUsers { get; init; } = 100;

    /// <summary>Devices of one user.</summary>
    public int Devices { get; init; } = 20;

    /// <summary>Bytes of one signed device list.</summary>
    public int DeviceListBytes { get; init; } = 16 * 1024;

    /// <summary>Signed device lists of one account. Beyond it, the server accepts only 64 more lists, which revoke devices.</summary>
    public int DeviceLists { get; init; } = 1000;

    /// <summary>Members of one room.</summary>
    public int RoomMembers { get; init; } = 1000;

    /// <summary>Bytes of an opaque name of a room or device.</summary>
    public int NameBytes { get; init; } = 256;

    /// <summary>Characters of a username: 3 to this many of <c>a-z 0-9 . _ -</c>.</summary>
    public int UsernameCharacters { get; init; } = 32;

    /// <summary>Characters of the endpoint of a push subscription.</summary>
    public int PushEndpointCharacters { get; init; } = 2048;

    /// <summary>Characters of an e-mail address (RFC 5321 section 4.5.3.1.3).</summary>
    public int EmailCharacters { get; init; } = 254;

    /// <summary>Fewest characters of a password.</summary>
    public int PasswordMinCharacters { get; init; } = 10;

    /// <summary>Most characters of a password.</summary>
    public int PasswordMaxCharacters { get; init; } = 256;

    /// <summary>Shortest time to live of an envelope or a room's default, in seconds. Expiry is rounded up to whole minutes.</summary>
    public int TimeToLiveMinSeconds { get; init; } = 60;

    /// <summary>Longest time to live, in seconds.</summary>
    public int TimeToLiveMaxSeconds { get; init; } = 366 * 24 * 3600;

    /// <summary>Bytes that one account may send and upload in a day. Beyond it: <see cref="ErrorCode.QuotaExceeded"/>. Null: no quota.</summary>
    public long? AccountBytesPerDay { get; init; }

    /// <summary>Bytes that may be stored in one room in a day. Beyond it: <see cref="ErrorCode.QuotaExceeded"/>. Null: no quota.</summary>
    public long? RoomBytesPerDay { get; init; }

    /// <summary>Bytes that one room may hold. Beyond it: <see cref="ErrorCode.QuotaExceeded"/>. Null: no quota.</summary>
    public long? RoomBytes { get; init; }
}
