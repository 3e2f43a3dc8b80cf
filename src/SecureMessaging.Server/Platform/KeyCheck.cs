using Microsoft.Extensions.Options;

namespace SecureMessaging.Server.Platform;

/// <summary>Refuses to start on a database that was set up with other keys: a node without the shared key directory, or a restore without it.</summary>
internal sealed class KeyCheck(Database database, ServerSecret secret, IOptions<ServerOptions> options) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var own = secret.DeriveKey("installation");
        await database.ExecuteAsync("insert into installation (id, key_check) values (1, @own) on conflict do nothing", new { own }, cancellationToken);
        var stored = await database.ReadAsync(
            connection => connection.QuerySingleAsync<byte[]>("select key_check from installation where id = 1", null, cancellationToken), cancellationToken);
        if (!own.AsSpan().SequenceEqual(stored))
        {
            throw new StartException(
                $"The keys in {options.Value.EffectiveKeyDirectory} are not those that this database was set up with. "
                + "Let Server:KeyDirectory be the directory that all nodes of the database share, or restore it from the backup.");
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
