using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Platform.Keys;

/// <summary>
/// Ties the keys to the database: both store the same id. The start rejects a node without the shared keys, a lost database and a restored older one,
/// instead of treating them as a new installation.
/// </summary>
internal sealed class Installation(Database database, ServerSecret secret, IOptions<ServerOptions> options)
{
    public const string AdoptVerb = "adopt-database";

    private const string ReadSql = "select key_check, installation_id from installation where id = 1";
    private const string CreateSql = "insert into installation (id, key_check, installation_id) values (1, @KeyCheck, @Id) on conflict do nothing";
    private const string NameSql = "update installation set installation_id = @Id where id = 1 and installation_id is null";

    private readonly string keys = options.Value.EffectiveKeyDirectory;
    private readonly byte[] keyCheck = secret.DeriveKey("installation");

    private string IdFile => Path.Combine(keys, "installation.id");

    /// <summary>Throws if keys and database do not belong together; ties new ones together.</summary>
    public void Check()
    {
        // Reads the file first. It is written after the row, so a node that sees the file also sees the row of another node that starts at the same
        // time.
        var known = ReadFile();
        if (known is not null && Find() is null)
        {
            throw new StartException(
                $"The keys in {keys} belong to an installation, and this database is empty. Restore the database, or check {Place}. "
                + $"To use these keys with the empty database, run the verb {AdoptVerb} once.");
        }

        var stored = Tie(known ?? Guid.NewGuid());
        if (known is null)
            Directories.TryCreatePrivateFile(IdFile, System.Text.Encoding.ASCII.GetBytes($"{stored}\n"));
        if (ReadFile() != stored)
        {
            throw new StartException(
                $"The keys in {keys} and this database belong to different installations. Check {Place} and Server:KeyDirectory. "
                + $"If the database was restored on purpose, run the verb {AdoptVerb} once.");
        }
    }

    /// <summary>Ties the keys to the current database, empty or restored, instead of the previous one.</summary>
    public void Adopt()
    {
        var stored = Tie(Guid.NewGuid());
        File.Delete(IdFile);
        Directories.TryCreatePrivateFile(IdFile, System.Text.Encoding.ASCII.GetBytes($"{stored}\n"));
    }

    private string Place => database.IsPostgres ? "ConnectionStrings:Postgres" : "Server:DataDirectory";

    private Guid Tie(Guid id)
    {
        var parameters = new { KeyCheck = keyCheck, Id = id };
        database.Run(connection => connection.ExecuteAsync(CreateSql, parameters, CancellationToken.None).GetAwaiter().GetResult());
        if (!keyCheck.AsSpan().SequenceEqual(Find()!.KeyCheck))
        {
            throw new StartException(
                $"The keys in {keys} do not belong to this database. "
                + "Set Server:KeyDirectory to the directory that all nodes of the database share, or restore it from the backup.");
        }

        database.Run(connection => connection.ExecuteAsync(NameSql, parameters, CancellationToken.None).GetAwaiter().GetResult());
        return Find()!.InstallationId!.Value;
    }

    private Row? Find() => database.Run(connection => connection.QuerySingleAsync<Row>(ReadSql, null, CancellationToken.None).GetAwaiter().GetResult());

    private Guid? ReadFile()
    {
        if (!File.Exists(IdFile))
            return null;
        return Guid.TryParse(File.ReadAllText(IdFile).AsSpan().Trim(), out var id)
            ? id
            : throw new StartException($"{IdFile} does not hold the id of an installation. Restore it from the backup of the key directory.");
    }

    private sealed record Row
    {
        public byte[] KeyCheck { get; init; } = [];
        public Guid? InstallationId { get; init; }
    }
}
