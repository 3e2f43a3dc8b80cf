using System.Diagnostics;
using Dapper;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Server;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Load.Subjects;

/// <summary>
/// How fast envelopes can be appended when there is no network, no hub and no receiver: batches straight into the store, one after the
/// other.
/// </summary>
internal sealed class StoreLimit : IAsyncDisposable
{
    /// <summary>What gathers while a busy node commits.</summary>
    public const int Batch = 256;
    private const int Rooms = 100;
    private const int RoomSize = 10;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.2);

    /// <summary>The least that gives rows a place in their rooms: no membership, no deduplication, no expiry.</summary>
    private const string InsertSql = """
        with input as (select * from unnest(@RoomIds, @Ids, @Ciphertexts) with ordinality as t(room_id, id, ciphertext, ord)),
        bumped as (
            update rooms r set last_seq = r.last_seq + c.n from (select room_id, count(*) as n from input group by room_id) c
            where r.id = c.room_id returning r.id, r.last_seq - c.n as base)
        insert into entries (room_id, seq, kind, created_at, id, ciphertext)
        select i.room_id, b.base + row_number() over (partition by i.room_id order by i.ord), 0, now(), i.id, i.ciphertext
        from input i join bumped b on b.id = i.room_id
        """;

    private const string IndicesSql = "select sql from sqlite_master where tbl_name = 'entries' and type = 'index' and sql is not null";

    private const string UsedBytesSql = """
        select (p.page_count - f.freelist_count) * s.page_size from pragma_page_count p, pragma_freelist_count f, pragma_page_size s
        """;

    private readonly WebApplication app;
    private readonly Database database;
    private readonly IEnvelopeAppend append;
    private readonly Child? postgres;
    private readonly byte[] ciphertext;
    private readonly DateTime now;
    private readonly Random random = new(1);

    private StoreLimit(WebApplication app, Child? postgres, int payloadBytes)
    {
        (this.app, this.postgres) = (app, postgres);
        database = app.Services.GetRequiredService<Database>();
        append = app.Services.GetRequiredService<IEnvelopeAppend>();
        now = app.Services.GetRequiredService<TimeProvider>().Now();
        ciphertext = new byte[payloadBytes];
    }

    public static async Task<StoreLimit> OpenAsync(string[] settings, Child? postgres, int payloadBytes)
    {
        var store = new StoreLimit(ServerApp.Build([.. settings, .. Seed.Quiet]), postgres, payloadBytes);
        await Seed.PlantAsync(store.database, store.now, RoomSize, Rooms * RoomSize);
        return store;
    }

    /// <summary>By the server's own statement.</summary>
    public Task<Row> AppendAsync(string subject, int batchLength, TimeSpan duration) =>
        MeasureAsync(subject, $"append by {batchLength}", batchLength, duration, batch =>
        {
            append.Append(batch, now);
            return Task.CompletedTask;
        });

    /// <summary>By a plain insert.</summary>
    public Task<Row> InsertAsync(string subject, TimeSpan duration) =>
        MeasureAsync(subject, $"plain insert by {Batch}", Batch, duration, batch => database.WriteAsync(
            transaction => transaction.Connection!.ExecuteAsync(
                InsertSql,
                new
                {
                    RoomIds = batch.Select(e => e.RoomId).ToArray(),
                    Ids = batch.Select(e => e.Id).ToArray(),
                    Ciphertexts = batch.Select(e => e.Ciphertext).ToArray()
                },
                transaction),
            CancellationToken.None));

    /// <summary>Appends as many messages in full batches, and returns how many.</summary>
    public long Append(int messages)
    {
        long written = 0;
        for (; written < messages; written += Batch)
            append.Append(Next(Batch), now);
        return written;
    }

    /// <summary>Builds the empty table of entries anew without rowids. Only on SQLite.</summary>
    public Task RemoveRowidsAsync() => database.WriteAsync(
        async transaction =>
        {
            var connection = transaction.Connection!;
            var indices = (await connection.QueryAsync<string>(IndicesSql, null, transaction)).ToList();
            var table = await connection.QuerySingleAsync<string>("select sql from sqlite_master where name = 'entries'", null, transaction);
            await connection.ExecuteAsync($"drop table entries; {table} without rowid;", null, transaction);
            foreach (var index in indices)
                await connection.ExecuteAsync(index, null, transaction);
        },
        CancellationToken.None);

    /// <summary>Copies SQLite's log into the file.</summary>
    public Task CopyLogAsync() => database.ForgetDeletedAsync(CancellationToken.None);

    /// <summary>The bytes of SQLite's pages that are in use.</summary>
    public async Task<long> BytesAsync()
    {
        await CopyLogAsync();
        return await database.ReadAsync(connection => connection.QuerySingleAsync<long>(UsedBytesSql), CancellationToken.None);
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task<Row> MeasureAsync(string subject, string mode, int batchLength, TimeSpan duration, Func<Envelope[], Task> write)
    {
        for (var warmUp = Stopwatch.StartNew(); warmUp.Elapsed < WarmUp;)
            await write(Next(batchLength));
        var (database, own) = (DatabaseCpu(), Usage.CpuMicroseconds(Environment.ProcessId));
        var rows = 0;
        var watch = Stopwatch.StartNew();
        for (; watch.Elapsed < duration; rows += batchLength)
            await write(Next(batchLength));
        return new Row(subject, mode)
        {
            MessagesPerSecond = rows / watch.Elapsed.TotalSeconds,
            ServerCpuUsPerMessage = (Usage.CpuMicroseconds(Environment.ProcessId) - own) / rows,
            DatabaseCpuUsPerMessage = (DatabaseCpu() - database) / rows,
        };
    }

    private double DatabaseCpu() => postgres is null ? 0 : Usage.CpuMicroseconds(postgres.Id, family: true);

    private Envelope[] Next(int batchLength) => [.. Enumerable.Range(0, batchLength).Select(_ =>
    {
        var client = random.Next(Rooms * RoomSize);
        Span<byte> id = stackalloc byte[16];
        random.NextBytes(id);
        return new Envelope(Seed.RoomOf(RoomSize, client), Seed.UserOf(RoomSize, client), new Guid(id), new byte[16], ciphertext, 0, null);
    })];
}
