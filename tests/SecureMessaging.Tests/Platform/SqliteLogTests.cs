using Dapper;
using Microsoft.Extensions.Logging.Abstractions;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The log of the embedded database (<c>-wal</c>) under load.</summary>
public sealed class SqliteLogTests
{
    [Fact]
    public async Task Stays_bounded_while_writes_follow_each_other_without_a_pause()
    {
        const int megabytesOfWrites = 240;
        const int mostMegabytes = 120;
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        var path = directory.Combine("secure-messaging.db");
        await using var database = new SqliteDatabase(path);
        database.Migrate(NullLogger.Instance);
        await WriteAsync("create table ballast (bytes blob)");
        await WriteAsync("insert into ballast values (null)");
        for (var i = 0; i < megabytesOfWrites; i++)
            await WriteAsync("update ballast set bytes = randomblob(1000000)");
        Assert.InRange(new FileInfo(path + "-wal").Length / 1_000_000, 1, mostMegabytes);

        Task<int> WriteAsync(string sql) => database.WriteAsync(transaction => transaction.Connection!.ExecuteAsync(sql), CancellationToken.None);
    }
}
