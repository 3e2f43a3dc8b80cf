using System.Buffers.Binary;
using System.Security.Cryptography;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Server;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Load.Subjects;

/// <summary>Who and what is in a subject's database before it is measured.</summary>
/// <param name="Clients">People of each room size.</param>
/// <param name="RoomSizes">Sizes of rooms.</param>
/// <param name="History">Entries in the room with the long history.</param>
internal sealed record Population(int Clients, int[] RoomSizes, int History)
{
    /// <summary>Rooms of three without connected members.</summary>
    public int OtherRooms { get; init; }
}

/// <summary>
/// Accounts, sessions and rooms straight in the database, and tokens from the server's own key ring: signing thousands of people up would measure Argon2id.
/// Each room size has people and rooms of its own, so that no person is in a room that is not measured.
/// </summary>
internal sealed class Seed
{
    /// <summary>Of an envelope in the room with the long history.</summary>
    public const int HistoryBytes = 256;

    private const int RowsAtOnce = 5000;
    private const int HistoryBatch = 500;

    // Sizes that are not measured: a room size has people of its own.
    private const int OtherRoomSize = 3;
    private const int HistoryRoomSize = 4;
    private readonly Dictionary<(int RoomSize, int Client), string> tokens = [];

    public string Token(int roomSize, int client) => tokens[(roomSize, client)];

    public static Guid RoomOf(int roomSize, int client) => Id(1, roomSize, client / roomSize);

    public static Guid UserOf(int roomSize, int client) => Id(2, roomSize, client);

    /// <summary>Settings for a server that is only asked for its services.</summary>
    public static string[] Quiet { get; } = ["--Management:Url=", "--Logs:Console=false"];

    /// <summary>The room with the long history, and the client 0 in it.</summary>
    public static Guid HistoryRoom => RoomOf(HistoryRoomSize, 0);

    public string HistoryToken => Token(HistoryRoomSize, 0);

    public static async Task<Seed> PlantAsync(string[] settings, Population population)
    {
        var seed = new Seed();
        await using var app = ServerApp.Build([.. settings, "--Auth:AccessTokenLifetime=01:00:00", .. Quiet]);
        var database = app.Services.GetRequiredService<Database>();
        var access = app.Services.GetRequiredService<AccessTokens>();
        var now = app.Services.GetRequiredService<TimeProvider>().Now();
        foreach (var (roomSize, clients) in population.RoomSizes.Select(size => (size, population.Clients)).Append((HistoryRoomSize, HistoryRoomSize)))
        {
            await PlantAsync(database, now, roomSize, clients);
            for (var i = 0; i < clients; i++)
                seed.tokens[(roomSize, i)] = access.Issue(new Caller(UserOf(roomSize, i), SessionOf(roomSize, i)), admin: false, now.AddDays(1)).Token;
        }

        await PlantAsync(database, now, OtherRoomSize, population.OtherRooms * OtherRoomSize);
        WriteHistory(app.Services.GetRequiredService<IEnvelopeAppend>(), now, population.History);
        return seed;
    }

    private static void WriteHistory(IEnvelopeAppend append, DateTime now, int entries)
    {
        var ciphertext = new byte[HistoryBytes];
        for (var written = 0; written < entries; written += HistoryBatch)
        {
            append.Append(
                [.. Enumerable.Range(written, HistoryBatch).Select(i => new Envelope(
                    HistoryRoom, UserOf(HistoryRoomSize, 0), Id(4, 0, i), new byte[16], ciphertext, 0, null))],
                now);
        }
    }

    /// <summary>Rooms of this size for so many people, and the people.</summary>
    public static async Task PlantAsync(Database database, DateTime now, int roomSize, int clients)
    {
        foreach (var chunk in Enumerable.Range(0, clients).Chunk(RowsAtOnce))
        {
            await database.WriteAsync(
                async transaction =>
                {
                    var connection = transaction.Connection!;
                    await connection.ExecuteAsync(
                        """
                        insert into users (id, username, email, email_hash, password_hash, created_on, updated_on)
                        values (@Id, @Username, @Email, @Hash, '', @Now, @Now)
                        """,
                        chunk.Select(i => new
                        {
                            Id = UserOf(roomSize, i),
                            Username = $"load-{roomSize}-{i}",
                            Email = UserOf(roomSize, i).ToByteArray(),
                            Hash = UserOf(roomSize, i).ToByteArray(),
                            Now = now
                        }),
                        transaction);
                    await connection.ExecuteAsync(
                        "insert into sessions (id, user_id, started_at, expires_at) values (@Id, @UserId, @Now, @Expires)",
                        chunk.Select(i => new { Id = SessionOf(roomSize, i), UserId = UserOf(roomSize, i), Now = now, Expires = now.AddDays(1) }),
                        transaction);
                    await connection.ExecuteAsync(
                        "insert into rooms (id, kind, visible, created_on) values (@Id, 0, @Visible, @Now)",
                        chunk.Where(i => i % roomSize == 0).Select(i => new { Id = RoomOf(roomSize, i), Visible = false, Now = now }),
                        transaction);
                    await connection.ExecuteAsync(
                        "insert into room_members (room_id, user_id, role, joined_seq, delivered_seq) values (@RoomId, @UserId, 0, 1, 0)",
                        chunk.Select(i => new { RoomId = RoomOf(roomSize, i), UserId = UserOf(roomSize, i) }),
                        transaction);
                },
                CancellationToken.None);
        }
    }

    private static Guid SessionOf(int roomSize, int client) => Id(3, roomSize, client);

    /// <summary>The same in each run, and as evenly spread as the random ids of real rooms: servers divide rooms by their ids.</summary>
    private static Guid Id(byte kind, int roomSize, int number)
    {
        Span<byte> name = stackalloc byte[9];
        name[0] = kind;
        BinaryPrimitives.WriteInt32BigEndian(name[1..], roomSize);
        BinaryPrimitives.WriteInt32BigEndian(name[5..], number);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(name, hash);
        // RFC 9562 section 5.8
        hash[6] = (byte)(hash[6] & 0x0f | 0x80);
        hash[8] = (byte)(hash[8] & 0x3f | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }
}
