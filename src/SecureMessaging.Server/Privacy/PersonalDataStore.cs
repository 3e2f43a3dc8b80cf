using System.Buffers;
using System.Data.Common;
using System.Text.Json;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;
using static SecureMessaging.Server.Privacy.HeldColumn;

namespace SecureMessaging.Server.Privacy;

/// <summary>
/// Writes all stored data of one account, table by table and column by column, under the names of <c>db/inventory.json</c>, which states their purpose and
/// retention.
/// </summary>
/// <remarks>
/// Sealed entries have no sender. They are found by computing the owner proof of every entry of the rooms with the account as member, or with roster entries of
/// it. Rows are read in pages and streamed, so that memory does not grow with the size of the response.
/// </remarks>
internal sealed class PersonalDataStore(Database database, EmailCipher emails, PushEndpointCipher endpoints, OwnerProof ownerProof, TimeProvider time)
{
    private const int ScanBatch = 500;
    private const int FlushBytes = 32 * 1024;

    private const string OfSession = "session_id in (select id from sessions where user_id = @UserId)";
    private const string OfDevice = "device_id in (select id from devices where user_id = @UserId)";
    private const string OfUser = "user_id = @UserId";

    private const string ScannedRoomsSql = """
        select room_id from room_members where user_id = @UserId
        union select room_id from entries where user_id = @UserId
        union select room_id from entries where sender_id = @UserId
        order by 1
        """;

    private static readonly HeldColumn[] EntryColumns =
    [
        Id("room_id"), Number("seq"), OneOf<EntryKind>("kind"), Time("created_at"), Time("expires_at"), Id("id"), Bytes("owner_proof"), Number("key_version"),
        Size("ciphertext"), Number("epoch"), Id("sender_id"), Number("target_seq"), Id("user_id"), OneOf<RoomRole>("role"), Bytes("settings"),
        Number("generation"),
    ];

    private static readonly string ScanSql = $"""
        {Select("entries", EntryColumns)}
        where room_id = @RoomId and seq > @AfterSeq and (owner_proof is not null or sender_id = @UserId or user_id = @UserId or target_seq is not null)
        order by seq limit @Limit
        """;

    private readonly HeldTable[] tables =
    [
        new("users", "id = @UserId",
            Id("id"), Text("username"), Sealed("email", emails.Decrypt), Bytes("email_hash"), Secret("password_hash"), OneOf<UserRole>("role"),
            Flag("disabled"), Time("created_on"), Time("updated_on"), Flag("delivery_cursor")),
        new("sessions", OfUser, Id("id"), Id("user_id"), Time("started_at"), Time("ended_at"), Time("expires_at"), Sealed("push_endpoint", endpoints.Decrypt),
            Bytes("label")),
        new("refresh_tokens", OfSession, Secret("hash"), Id("session_id"), Time("spent_at"), Time("expires_at")),
        new("tickets", OfSession, Secret("hash"), Id("session_id"), Time("expires_at")),
        new("notification_settings", OfUser,
            Id("user_id"), Flag("muted"), Number("quiet_from"), Number("quiet_until"), Text("time_zone"), OneOf<NotificationPriority>("priority")),
        new("room_notification_settings", OfUser,
            Id("room_id"), Id("user_id"), Flag("muted"), Number("quiet_from"), Number("quiet_until"), Text("time_zone"),
            OneOf<NotificationPriority>("priority")),
        new("identity_keys", OfUser, Id("user_id"), Bytes("public_key")),
        new("devices", OfUser,
            Id("id"), Id("user_id"), Id("session_id"), Text("scheme"), Bytes("signature_key"), Bytes("link_key"), Bytes("identity_signature"),
            Size("sealed_identity"), Bytes("name"), Time("created_on"), Time("seen_on")),
        new("device_lists", OfUser, Id("user_id"), Number("number"), Bytes("list")),
        new("key_packages", OfDevice, Bytes("reference"), Id("device_id"), Size("content"), Flag("last_resort"), Flag("used"), Time("expires_at")),
        new("welcome_recipients", OfDevice, Id("device_id"), Id("room_id"), Number("seq"), Number("number")),
        new("welcomes", $"(room_id, seq, number) in (select room_id, seq, number from welcome_recipients where {OfDevice})",
            Id("room_id"), Number("seq"), Number("number"), Number("generation"), Size("message"), Time("created_at")),
        new("commit_throttles", OfUser,
            Id("room_id"), Id("user_id"), Number("seq"), Number("strikes"), Time("blocked_until"), Time("forgotten_at")),
        new("commit_reports", OfUser, Id("room_id"), Number("seq"), Id("user_id")),
        new("room_members", OfUser, Id("room_id"), Id("user_id"), OneOf<RoomRole>("role"), Number("joined_seq"), Number("delivered_seq")),
        new("rooms", "id in (select room_id from room_members where user_id = @UserId)",
            Id("id"), OneOf<RoomKind>("kind"), Bytes("name"), Flag("visible"), Number("time_to_live"), Bytes("direct_key"), Number("epoch"),
            Number("last_seq"), Number("first_seq"), Time("created_on"), Text("scheme"), Number("generation"), Number("group_seq"), Number("commit_seq"),
            Bytes("founding")),
    ];

    /// <summary>
    /// Writes the account's data as one JSON object: <c>{"asOf": …, "tables": {"users": [{"id": …}], …, "entries": […]}}</c>. Null columns are written as null.
    /// </summary>
    public async Task WriteAsync(Guid userId, Stream output, bool indented, CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>(FlushBytes);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = indented, NewLine = "\n" });
        json.WriteStartObject();
        json.WriteString("asOf", time.Now().ToMinute());
        json.WriteStartObject("tables");
        foreach (var table in tables)
        {
            json.WriteStartArray(table.Name);
            await ReadAsync(
                $"{Select(table.Name, table.Columns)} where {table.Condition}", new { UserId = userId }, row => Write(json, table.Columns, row),
                cancellationToken);
            json.WriteEndArray();
        }

        json.WriteStartArray("entries");
        var rooms = await database.ReadAsync(
            connection => connection.QueryAsync<Guid>(ScannedRoomsSql, new { UserId = userId }, cancellationToken), cancellationToken);
        foreach (var roomId in rooms)
        {
            var own = new HashSet<long>();
            for (long? next = 0; next is not null;)
            {
                next = await WriteEntriesAsync(json, roomId, userId, next.Value, own, cancellationToken);
                if (buffer.WrittenCount + json.BytesPending >= FlushBytes)
                    await FlushAsync();
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
        await FlushAsync();

        // Only between reads: a slow client must not hold a database connection.
        async Task FlushAsync()
        {
            await json.FlushAsync(cancellationToken);
            await output.WriteAsync(buffer.WrittenMemory, cancellationToken);
            buffer.ResetWrittenCount();
        }
    }

    /// <summary>Returns the seq to continue after. Null: the end.</summary>
    private async Task<long?> WriteEntriesAsync(
        Utf8JsonWriter json, Guid roomId, Guid userId, long afterSeq, HashSet<long> own, CancellationToken cancellationToken)
    {
        var read = await ReadAsync(
            ScanSql,
            new { RoomId = roomId, UserId = userId, AfterSeq = afterSeq, Limit = ScanBatch },
            row =>
            {
                afterSeq = ToNumber(row["seq"]);
                // The sender of a retraction is the sender of its target.
                if (!IsOwn(row, roomId, userId) && !(row["target_seq"] is not DBNull and var target && own.Contains(ToNumber(target))))
                    return;
                own.Add(afterSeq);
                Write(json, EntryColumns, row);
            },
            cancellationToken);
        return read < ScanBatch ? null : afterSeq;
    }

    private bool IsOwn(DbDataReader row, Guid roomId, Guid userId) =>
        (row["sender_id"] is not DBNull and var sender && ToId(sender) == userId)
        || (row["user_id"] is not DBNull and var subject && ToId(subject) == userId)
        || (row["id"] is not DBNull and var id && row["owner_proof"] is byte[] proof
            && ownerProof.Verify(userId, roomId, ToId(id), proof, (int)ToNumber(row["key_version"])));

    private Task<int> ReadAsync(string sql, object parameters, Action<DbDataReader> take, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            await using var reader = await connection.ExecuteReaderAsync(sql, parameters, cancellationToken);
            var read = 0;
            for (; await reader.ReadAsync(cancellationToken); read++)
                take(reader);
            return read;
        },
        cancellationToken);

    private static string Select(string table, HeldColumn[] columns) =>
        $"select {string.Join(", ", columns.Select(column => $"{column.Sql} as {column.Name}"))} from {table}";

    private static void Write(Utf8JsonWriter json, HeldColumn[] columns, DbDataReader row)
    {
        json.WriteStartObject();
        for (var i = 0; i < columns.Length; i++)
        {
            json.WritePropertyName(columns[i].Name);
            if (row.IsDBNull(i))
                json.WriteNullValue();
            else
                columns[i].Write(json, row.GetValue(i), row);
        }

        json.WriteEndObject();
    }

    private sealed record HeldTable(string Name, string Condition, params HeldColumn[] Columns);
}
