using Dapper;
using Microsoft.Data.Sqlite;

namespace SecureMessaging.Client;

/// <summary>
/// The data that outlives the process: the session, the sends without an ack, and how far the application has read each room.
/// One SQLite file, or memory. Writes are durable when a method returns. Only the cursor does not wait for the disk: a crash of the process loses
/// nothing, and a power failure can repeat some events. Each failure is an <see cref="IOException"/>
/// or, for files without permission, an <see cref="UnauthorizedAccessException"/>.
/// </summary>
internal sealed class ClientStore : IDisposable
{
    private const string Schema = """
        create table if not exists session (
            id integer primary key check (id = 1), server text not null, user_id text not null, username text not null,
            session_id text not null, refresh_token text, access_token text, access_issued_at integer not null, access_expires_at integer not null);
        create table if not exists outbox (
            position integer primary key autoincrement, room_id text not null, client_message_id text not null unique,
            ciphertext blob not null, ttl integer);
        drop index if exists outbox_by_room;
        create table if not exists cursors (room_id text primary key, seq integer not null) without rowid;
        """;

    private readonly Lock gate = new();
    private readonly SqliteConnection connection;
    private readonly string? path;
    private bool disposed;

    public ClientStore(string? path)
    {
        this.path = path is null ? null : Path.GetFullPath(path);
        if (this.path is not null)
            CreatePrivately(this.path);
        var source = new SqliteConnectionStringBuilder { DataSource = this.path ?? ":memory:", Pooling = false, DefaultTimeout = 10 };
        connection = new SqliteConnection(source.ToString());
        try
        {
            Use(connection =>
            {
                connection.Open();
                connection.Execute("pragma journal_mode=wal; pragma synchronous=full; pragma secure_delete=on;");
                return connection.Execute(Schema);
            });
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public StoredSession? ReadSession() => Use(connection => connection.QuerySingleOrDefault<StoredSession>("""
        select server, user_id UserId, username, session_id SessionId, refresh_token RefreshToken, access_token AccessToken,
               access_issued_at AccessIssuedAt, access_expires_at AccessExpiresAt
        from session
        """));

    public void WriteSession(StoredSession session) => Use(connection => connection.Execute("""
        insert into session (id, server, user_id, username, session_id, refresh_token, access_token, access_issued_at, access_expires_at)
        values (1, @Server, @UserId, @Username, @SessionId, @RefreshToken, @AccessToken, @AccessIssuedAt, @AccessExpiresAt)
        on conflict (id) do update set server = @Server, user_id = @UserId, username = @Username, session_id = @SessionId,
            refresh_token = @RefreshToken, access_token = @AccessToken, access_issued_at = @AccessIssuedAt, access_expires_at = @AccessExpiresAt
        """, session));

    /// <summary>Deletes everything, as after a logout.</summary>
    public void Clear() => Use(connection =>
    {
        using var transaction = connection.BeginTransaction();
        connection.Execute("delete from session; delete from outbox; delete from cursors;", transaction: transaction);
        transaction.Commit();
        return true;
    });

    /// <summary>Appends to the outbox unless it is full.</summary>
    public bool TryEnqueue(OutboxItem item, int capacity) => Use(connection => connection.Execute("""
        insert into outbox (room_id, client_message_id, ciphertext, ttl)
        select @RoomId, @ClientMessageId, @Ciphertext, @Ttl where (select count(*) from outbox) < @capacity
        """, new { item.RoomId, item.ClientMessageId, item.Ciphertext, item.Ttl, capacity })) == 1;

    /// <summary>
    /// The oldest pending sends, without those of some rooms. The first one is returned even when it is larger than the limit of bytes.
    /// </summary>
    public List<OutboxItem> ReadOldest(IEnumerable<string> exceptRooms, int limit, int bytes) => Use(connection =>
    {
        var items = new List<OutboxItem>();
        // Not buffered: rows that do not fit into the batch are not read.
        foreach (var item in connection.Query<OutboxItem>("""
            select position, room_id RoomId, client_message_id ClientMessageId, ciphertext, ttl
            from outbox where room_id not in @exceptRooms order by position limit @limit
            """, new { exceptRooms, limit }, buffered: false))
        {
            bytes -= item.Ciphertext.Length;
            if (items.Count > 0 && bytes < 0)
                break;
            items.Add(item);
        }
        return items;
    });

    public int CountOutbox() => Use(connection => connection.ExecuteScalar<int>("select count(*) from outbox"));

    public void RemoveFromOutbox(IEnumerable<long> positions) =>
        Use(connection => connection.Execute("delete from outbox where position in @positions", new { positions }));

    public IReadOnlyList<StoredCursor> ReadCursors() =>
        Use(connection => connection.Query<StoredCursor>("select room_id RoomId, seq from cursors").AsList());

    /// <summary>Moves a cursor forward.</summary>
    public void WriteCursor(Guid roomId, long seq) => Use(connection =>
    {
        try
        {
            return connection.Execute("""
                pragma synchronous=normal;
                insert into cursors (room_id, seq) values (@roomId, @seq) on conflict (room_id) do update set seq = max(seq, excluded.seq);
                """, new { roomId = roomId.ToString("D"), seq });
        }
        finally
        {
            connection.Execute("pragma synchronous=full");
        }
    });

    public void ForgetCursor(Guid roomId) =>
        Use(connection => connection.Execute("delete from cursors where room_id = @roomId", new { roomId = roomId.ToString("D") }));

    /// <summary>
    /// Prevents other processes on the same file from renewing the session at the same time: a refresh token that is used twice ends its session.
    /// Null when another process holds it.
    /// </summary>
    public IDisposable? TryLockRenewal()
    {
        if (path is null)
            return new MemoryStream();
        try
        {
            return new FileStream(path + ".renewal", Private(FileMode.OpenOrCreate, FileShare.None));
        }
        catch (IOException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            connection.Dispose();
        }
    }

    /// <summary>One statement at a time. A failure of SQLite becomes an exception that names the file.</summary>
    private T Use<T>(Func<SqliteConnection, T> work)
    {
        lock (gate)
        {
            try
            {
                return work(connection);
            }
            catch (SqliteException e)
            {
                throw new IOException($"The store {path ?? "in memory"} cannot be used: {e.Message}", e);
            }
            catch (InvalidOperationException e) when (disposed)
            {
                throw new IOException("The store is closed.", e);
            }
        }
    }

    private static void CreatePrivately(string path)
    {
        var folder = Path.GetDirectoryName(path)!;
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        // SQLite gives its journal files the mode of the database file. One that exists is not opened here: closing it would drop the locks
        // that SQLite may hold on it elsewhere in this process (POSIX advisory locks).
        if (!File.Exists(path))
        {
            using var created = new FileStream(path, Private(FileMode.OpenOrCreate, FileShare.ReadWrite));
        }
        else if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    private static FileStreamOptions Private(FileMode mode, FileShare share)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = share };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return options;
    }
}

/// <summary>The session's row. Times are Unix milliseconds of the local clock.</summary>
internal sealed record StoredSession
{
    public required string Server { get; init; }

    public required string UserId { get; init; }

    public required string Username { get; init; }

    public required string SessionId { get; init; }

    /// <summary>Null once the session is over.</summary>
    public string? RefreshToken { get; init; }

    public string? AccessToken { get; init; }

    public required long AccessIssuedAt { get; init; }

    public required long AccessExpiresAt { get; init; }

    public override string ToString() => "StoredSession [REDACTED]";
}

/// <summary>An encrypted message that waits to be sent.</summary>
internal sealed record OutboxItem
{
    public long Position { get; init; }

    public required string RoomId { get; init; }

    public required string ClientMessageId { get; init; }

    public required byte[] Ciphertext { get; init; }

    public long? Ttl { get; init; }
}

/// <summary>How far the application has read a room.</summary>
internal sealed record StoredCursor
{
    public required string RoomId { get; init; }

    public long Seq { get; init; }
}
