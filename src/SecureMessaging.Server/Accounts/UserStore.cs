using System.Data.Common;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

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

    public DateTime CreatedOn { get; init; }

    public bool IsAdmin => Role == UserRole.Admin;

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

internal sealed class UserStore(Database database, EmailCipher cipher, AccountRules rules, TimeProvider time)
{
    private const string Columns = "id, username, email, password_hash, role, disabled, created_on";

    private const string Insert = """
        insert into users (id, username, email, email_hash, password_hash, role, created_on, updated_on)
        select @id, @username, @email, @emailHash, @passwordHash, @role, @today, @today
        where not exists (select 1 from users where email_hash = @oldHash)
        on conflict do nothing
        """;

    private const string SelectById = $"select {Columns} from users where id = @id";

    // SQLite has one writer, so its transaction is the lock.
    private const string PostgresRowLock = " for no key update";

    private const string SelectByUsername = $"select {Columns} from users where username = @username";

    private const string SelectByEmail =
        $"select {Columns} from users where email_hash = @emailHash or email_hash = @oldHash order by case when email_hash = @emailHash then 0 else 1 end limit 1";

    private const string SelectSummaries = "select id, username from users where disabled = false and username in @usernames";

    // Npgsql sends a list as one array, Microsoft.Data.Sqlite has none.
    private const string SelectSummariesOnPostgres = "select id, username from users where disabled = false and username = any(@usernames)";

    private const string UpdateEmail = """
        update users set email = @email, email_hash = @emailHash, updated_on = @today
        where id = @id and not exists (select 1 from users where email_hash = @oldHash and id <> @id)
        """;

    private const string UpdatePassword = "update users set password_hash = @passwordHash, updated_on = @today where id = @id";

    private const string UpdateDisabled = "update users set disabled = @disabled, updated_on = @today where id = @id";

    private const string SelectCounts = """
        select count(*) as users, coalesce(sum(case when disabled then 1 else 0 end), 0) as disabled, coalesce(sum(case when role = @admin then 1 else 0 end), 0) as admins
        from users
        """;

    private const string Delete = "delete from users where id = @id";

    /// <summary>Makes an account from values that passed <see cref="AccountRules"/>.</summary>
    public async Task<Guid> CreateAsync(
        DbTransaction transaction, string username, string email, string passwordHash, UserRole role, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        var inserted = await transaction.ExecuteAsync(
            Insert,
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
        return inserted == 1 ? id : throw Taken();
    }

    public Task<UserRow?> FindAsync(Guid id, CancellationToken cancellationToken) =>
        database.ReadAsync(connection => connection.QuerySingleAsync<UserRow>(SelectById, new { id }, cancellationToken), cancellationToken);

    /// <summary>Reads the account and keeps it as it is until the transaction ends.</summary>
    public Task<UserRow?> LockAsync(DbTransaction transaction, Guid id, CancellationToken cancellationToken) =>
        transaction.QuerySingleAsync<UserRow>(database.IsPostgres ? SelectById + PostgresRowLock : SelectById, new { id }, cancellationToken);

    /// <summary>Finds by username or e-mail address, given in lower case.</summary>
    public Task<UserRow?> FindByLoginAsync(string login, CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => login.Contains('@', StringComparison.Ordinal)
                ? connection.QuerySingleAsync<UserRow>(SelectByEmail, new { emailHash = cipher.Hash(login), oldHash = cipher.OldHash(login) }, cancellationToken)
                : connection.QuerySingleAsync<UserRow>(SelectByUsername, new { username = login }, cancellationToken),
            cancellationToken);

    public async Task<UserSummary?> FindByUsernameAsync(string username, CancellationToken cancellationToken) =>
        (await FindByUsernamesAsync([username], cancellationToken)).SingleOrDefault();

    /// <summary>The accounts of those names that exist; names may be given in any letter case.</summary>
    public async Task<IReadOnlyList<UserSummary>> FindByUsernamesAsync(IReadOnlyCollection<string> usernames, CancellationToken cancellationToken)
    {
        string[] names = [.. usernames.Select(rules.FoldUsername).OfType<string>().Distinct(StringComparer.Ordinal)];
        if (names.Length == 0)
            return [];
        var sql = database.IsPostgres ? SelectSummariesOnPostgres : SelectSummaries;
        var rows = await database.ReadAsync(connection => connection.QueryAsync<UserRow>(sql, new { usernames = names }, cancellationToken), cancellationToken);
        return [.. rows.Select(row => new UserSummary(row.Id, row.Username))];
    }

    public async Task SetEmailAsync(DbTransaction transaction, Guid id, string email, CancellationToken cancellationToken)
    {
        var parameters = new { id, email = cipher.Encrypt(email, id), emailHash = cipher.Hash(email), oldHash = cipher.OldHash(email), today = time.Now().ToDay() };
        try
        {
            if (await transaction.ExecuteAsync(UpdateEmail, parameters, cancellationToken) == 0)
                throw Taken();
        }
        catch (Exception exception) when (database.IsUniqueViolation(exception))
        {
            throw Taken();
        }
    }

    public Task SetPasswordAsync(DbTransaction transaction, Guid id, string passwordHash, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(UpdatePassword, new { id, passwordHash, today = time.Now().ToDay() }, cancellationToken);

    public Task SetDisabledAsync(DbTransaction transaction, Guid id, bool disabled, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(UpdateDisabled, new { id, disabled, today = time.Now().ToDay() }, cancellationToken);

    public async Task<UserCounts> CountAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(
            connection => connection.QuerySingleAsync<UserCounts>(SelectCounts, new { admin = (int)UserRole.Admin }, cancellationToken), cancellationToken)
        ?? new UserCounts();

    public static Task DeleteAsync(DbTransaction transaction, Guid id, CancellationToken cancellationToken) =>
        transaction.ExecuteAsync(Delete, new { id }, cancellationToken);

    public Profile Describe(UserRow user) =>
        new(user.Id, user.Username, cipher.Decrypt(user.Email, user.Id), user.CreatedOn, user.IsAdmin ? "admin" : "user");

    private static ApiException Taken() => new(ErrorCode.Conflict, "The username or the e-mail address is taken.");
}
