using System.Data.Common;
using System.Text;
using Dapper;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>A role on the server, as stored; not a role in a room.</summary>
internal enum UserRole
{
    User = 0,
    Admin = 1,
}

internal sealed record UserRow
{
    public Guid Id { get; init; }

    public string Username { get; init; } = "";

    public byte[] Email { get; init; } = [];

    public string PasswordHash { get; init; } = "";

    public UserRole Role { get; init; }

    public bool Disabled { get; init; }

    public bool DeliveryCursor { get; init; }

    public DateTime CreatedOn { get; init; }

    public bool IsAdmin => Role == UserRole.Admin;

    /// <summary>The password was checked before the transaction. Throws if another request has changed it since.</summary>
    public void RequireUnchanged(UserRow? locked)
    {
        if (locked?.PasswordHash != PasswordHash)
            throw new ApiException(ErrorCode.Conflict, "The password was changed by a concurrent request.");
    }

    private bool PrintMembers(StringBuilder builder)
    {
        builder.Append("Id = ").Append(Id);
        return true;
    }
}

internal sealed record UserCounts
{
    public long Users { get; init; }

    public long Disabled { get; init; }

    public long Admins { get; init; }
}

internal sealed class UserStore(Database database, EmailCipher cipher, AccountRules rules, ReleasedNames released, TimeProvider time)
{
    private const string Columns = "id, username, email, password_hash, role, disabled, created_on, delivery_cursor";

    private const string InsertSql = """
        insert into users (id, username, email, email_hash, password_hash, role, created_on, updated_on)
        select @id, @username, @email, @emailHash, @passwordHash, @role, @today, @today
        where not exists (select 1 from users where email_hash = @oldHash)
        on conflict do nothing
        """;

    private const string SelectByIdSql = $"select {Columns} from users where id = @id";

    // SQLite has one writer, so its transaction is the lock.
    private const string PostgresRowLock = " for no key update";

    private const string SelectByUsernameSql = $"select {Columns} from users where username = @username";

    private const string SelectByEmailSql = $"""
        select {Columns} from users where email_hash = @emailHash or email_hash = @oldHash
        order by case when email_hash = @emailHash then 0 else 1 end limit 1
        """;

    private const string SelectSummariesSql = "select id, username from users where disabled = false and username in @usernames";

    // Npgsql sends a list as one array, Microsoft.Data.Sqlite has none.
    private const string SelectSummariesOnPostgresSql = "select id, username from users where disabled = false and username = any(@usernames)";

    private string SummariesByIdSql => $"select id, username from users where disabled = false and id {database.AnyOf("Ids")}";

    private const string UpdateEmailSql = """
        update users set email = @email, email_hash = @emailHash, updated_on = @today
        where id = @id and not exists (select 1 from users where email_hash = @oldHash and id <> @id)
        """;

    private const string UpdatePasswordSql = "update users set password_hash = @passwordHash, updated_on = @today where id = @id";

    private const string UpdateDisabledSql = "update users set disabled = @disabled, updated_on = @today where id = @id";

    private const string UpdateDeliveryCursorSql = "update users set delivery_cursor = @stored, updated_on = @today where id = @id";

    private const string SelectCountsSql = """
        select count(*) as users,
            coalesce(sum(case when disabled then 1 else 0 end), 0) as disabled,
            coalesce(sum(case when role = @admin then 1 else 0 end), 0) as admins
        from users
        """;

    private const string DeleteSql = "delete from users where id = @id";

    /// <summary>Creates an account from values that passed <see cref="AccountRules"/>.</summary>
    public async Task<Guid> CreateAsync(
        DbTransaction transaction, string username, string email, string passwordHash, UserRole role, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        var inserted = await transaction.ExecuteAsync(
            InsertSql,
            new
            {
                id,
                username,
                email = cipher.Encrypt(email, id),
                emailHash = cipher.Hash(email),
                oldHash = cipher.OldHash(email),
                passwordHash,
                role = (int)role,
                today = time.Now().ToDay(),
            },
            cancellationToken);
        return inserted == 1 && !await released.IsReservedAsync(transaction, username, cancellationToken) ? id : throw Taken();
    }

    public async Task<UserRow> RequireAsync(Caller caller, CancellationToken cancellationToken) =>
        await FindAsync(caller.UserId, cancellationToken) ?? throw new ApiException(ErrorCode.Unauthenticated, "The account has been deleted.");

    public Task<UserRow?> FindAsync(Guid id, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QuerySingleAsync<UserRow>(SelectByIdSql, new { id }, cancellationToken), cancellationToken);

    /// <summary>Reads the account and locks it until the transaction ends.</summary>
    public Task<UserRow?> LockAsync(DbTransaction transaction, Guid id, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<UserRow>(database.IsPostgres ? SelectByIdSql + PostgresRowLock : SelectByIdSql, new { id }, cancellationToken);

    /// <summary>Finds by username or e-mail address, given in lower case.</summary>
    public Task<UserRow?> FindByLoginAsync(string login, CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => login.Contains('@', StringComparison.Ordinal)
                ? connection.QuerySingleAsync<UserRow>(
                    SelectByEmailSql, new { emailHash = cipher.Hash(login), oldHash = cipher.OldHash(login) }, cancellationToken)
                : connection.QuerySingleAsync<UserRow>(SelectByUsernameSql, new { username = login }, cancellationToken),
            cancellationToken);

    public async Task<UserSummary?> FindByUsernameAsync(string username, CancellationToken cancellationToken) =>
        (await FindByUsernamesAsync([username], cancellationToken)).SingleOrDefault();

    /// <summary>The existing accounts of these names, given in any letter case.</summary>
    public async Task<IReadOnlyList<UserSummary>> FindByUsernamesAsync(IReadOnlyCollection<string> usernames, CancellationToken cancellationToken)
    {
        string[] names = [.. usernames.Select(rules.FoldUsername).OfType<string>().Distinct(StringComparer.Ordinal)];
        if (names.Length == 0)
            return [];
        var sql = database.IsPostgres ? SelectSummariesOnPostgresSql : SelectSummariesSql;
        var rows = await database.ReadAsync(connection => connection.QueryAsync<UserRow>(sql, new { usernames = names }, cancellationToken), cancellationToken);
        return [.. rows.Select(row => new UserSummary(row.Id, row.Username))];
    }

    /// <summary>The existing accounts of these ids.</summary>
    public async Task<IReadOnlyList<UserSummary>> FindByIdsAsync(IReadOnlyCollection<Guid> ids, CancellationToken cancellationToken)
    {
        if (ids.Count == 0)
            return [];
        var parameters = new DynamicParameters();
        parameters.Add("Ids", database.ListOf(ids));
        var rows = await database.ReadAsync(connection => connection.QueryAsync<UserRow>(SummariesByIdSql, parameters, cancellationToken), cancellationToken);
        return [.. rows.Select(row => new UserSummary(row.Id, row.Username))];
    }

    public async Task SetEmailAsync(DbTransaction transaction, Guid id, string email, CancellationToken cancellationToken)
    {
        var (emailHash, oldHash) = (cipher.Hash(email), cipher.OldHash(email));
        var parameters = new { id, email = cipher.Encrypt(email, id), emailHash, oldHash, today = time.Now().ToDay() };
        try
        {
            if (await transaction.ExecuteAsync(UpdateEmailSql, parameters, cancellationToken) == 0)
                throw Taken();
        }
        catch (Exception exception) when (database.IsUniqueViolation(exception))
        {
            throw Taken();
        }
    }

    public Task SetPasswordAsync(DbTransaction transaction, Guid id, string passwordHash, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(UpdatePasswordSql, new { id, passwordHash, today = time.Now().ToDay() }, cancellationToken);

    public Task SetDisabledAsync(DbTransaction transaction, Guid id, bool disabled, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(UpdateDisabledSql, new { id, disabled, today = time.Now().ToDay() }, cancellationToken);

    /// <summary>Whether the server stores how far the account has received its rooms. Locks the account until the transaction ends.</summary>
    public Task SetDeliveryCursorAsync(DbTransaction transaction, Guid id, bool stored, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(UpdateDeliveryCursorSql, new { id, stored, today = time.Now().ToDay() }, cancellationToken);

    public async Task<UserCounts> CountAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.QuerySingleAsync<UserCounts>(SelectCountsSql, new { admin = (int)UserRole.Admin }, cancellationToken), cancellationToken)
        ?? new UserCounts();

    /// <summary>Deletes the account, and keeps its name from others for a year.</summary>
    public async Task DeleteAsync(DbTransaction transaction, UserRow user, CancellationToken cancellationToken)
    {
        await transaction.ExecuteAsync(DeleteSql, new { id = user.Id }, cancellationToken);
        await released.ReleaseAsync(transaction, user.Username, cancellationToken);
    }

    public Profile Describe(UserRow user) =>
        new(user.Id, user.Username, cipher.Decrypt(user.Email, user.Id), user.CreatedOn, user.IsAdmin ? "admin" : "user");

    private static ApiException Taken() => new(ErrorCode.Conflict, "The username or the e-mail address is taken.");
}
