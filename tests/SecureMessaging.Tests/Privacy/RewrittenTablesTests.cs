using System.Buffers.Binary;
using Dapper;
using Npgsql;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Privacy;

/// <summary>Deleted content in the files of Postgres, before and after the rewrite at the operator's hour.</summary>
[Trait("Ring", "Full")]
public sealed class RewrittenTablesTests(PostgresServer shared)
{
    private const int Messages = 600;
    private const int Redacted = 100;
    private const int Length = 300;

    [Fact]
    public async Task The_rewrite_removes_redacted_messages_from_the_files_and_all_others_can_be_read()
    {
        var now = DateTime.UtcNow;
        var rewriteAt = now.Date.AddHours(now.Hour + 3).AddMinutes(5);
        await using var server = await shared.DedicatedAsync($"--Retention:RewriteHour={rewriteAt.Hour}", "--Auth:AccessTokenLifetime=01:00:00");
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        var random = Seed.For(nameof(RewrittenTablesTests));
        var sent = new Dictionary<long, ulong>();
        while (sent.Count < Messages)
        {
            var batch = Enumerable.Range(0, 60).Select(_ => new SendRequest(room.Id, Guid.NewGuid(), Repeat((ulong)random.NextInt64()))).ToArray();
            foreach (var (request, result) in batch.Zip(await hub.SendBatchAsync(batch)))
                sent.Add(result.Ack!.Seq, BinaryPrimitives.ReadUInt64LittleEndian(request.Ciphertext));
        }

        var redacted = sent.Keys.OrderBy(_ => random.Next()).Take(Redacted).ToHashSet();
        foreach (var seq in redacted)
            await hub.RetractAsync(room.Id, seq);
        await VacuumAsync(server);
        Assert.NotEmpty(Find(await SearchAsync(server, sent.Values), redacted));

        server.Time.Advance(rewriteAt - server.Time.GetUtcNow().UtcDateTime);
        await server.Time.PassAsync(TimeSpan.FromMinutes(1.1));
        await Eventually.TrueAsync(() => server.Logs.Any(line => line.Contains("All tables are rewritten", StringComparison.Ordinal)));
        var found = await SearchAsync(server, sent.Values);
        Assert.Empty(Find(found, redacted));
        Assert.Equal(Messages - Redacted, Find(found, sent.Keys.Except(redacted)).Count);
        anna.Use(await anna.SignInAsync());
        var messages = new List<LogEntry>();
        for (long after = 0, head = 1; after < head;)
        {
            var page = await (await anna.ConnectAsync()).SyncAsync(room.Id, after);
            messages.AddRange(page.Entries.Where(entry => entry.Kind == EntryKind.Message));
            (after, head) = (page.Entries[^1].Seq, page.HeadSeq);
        }

        Assert.Equal(sent.Where(message => !redacted.Contains(message.Key)).Select(message => message.Key).Order(), messages.Select(entry => entry.Seq));
        Assert.All(messages, entry => Assert.Equal(Repeat(sent[entry.Seq]), entry.Ciphertext));

        // Once a day, also after a restart in that hour.
        await server.RestartAsync();
        await server.Time.PassAsync(TimeSpan.FromSeconds(1));
        Assert.Single(server.Logs, line => line.Contains("rewrites all tables", StringComparison.Ordinal));

        List<long> Find(HashSet<ulong> markers, IEnumerable<long> seqs) => [.. seqs.Where(seq => markers.Contains(sent[seq]))];
    }

    /// <summary>The markers in all files of the database, after a checkpoint.</summary>
    private static async Task<HashSet<ulong>> SearchAsync(TestServer server, IEnumerable<ulong> all)
    {
        var markers = all.ToHashSet();
        var found = new HashSet<ulong>();
        await using var source = NpgsqlDataSource.Create(server.PostgresConnection!);
        await using var connection = await source.OpenConnectionAsync();
        await connection.ExecuteAsync("checkpoint;");
        const string files = "select d || '/' || f from (select 'base/' || oid as d from pg_database where datname = current_database()) b, pg_ls_dir(d) f";
        foreach (var file in await connection.QueryAsync<string>(files))
        {
            var bytes = await connection.ExecuteScalarAsync<byte[]>("select pg_read_binary_file(@file, 0, 1000000000, true)", new { file }) ?? [];
            for (var at = 0; at + sizeof(ulong) <= bytes.Length; at++)
            {
                if (BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at)) is var marker && markers.Contains(marker))
                    found.Add(marker);
            }
        }

        return found;
    }

    /// <summary>It makes the space of deleted rows free, and does not overwrite it.</summary>
    private static async Task VacuumAsync(TestServer server)
    {
        await using var source = NpgsqlDataSource.Create(server.PostgresConnection!);
        await using var command = source.CreateCommand("vacuum entries");
        await command.ExecuteNonQueryAsync();
    }

    private static byte[] Repeat(ulong marker)
    {
        var bytes = new byte[Length + sizeof(ulong)];
        for (var at = 0; at < Length; at += sizeof(ulong))
            BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), marker);
        return bytes[..Length];
    }
}
