using System.Diagnostics;
using System.Net.Http.Json;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Retention;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The embedded database as a file that other programs copy, read and leave without disk space.</summary>
[Trait("Ring", "Full")]
public sealed class SqliteFileTests(SqliteServer shared)
{
    private const int Corrupt = 11;

    [Fact]
    public async Task A_copy_of_the_file_alone_contains_entries_stored_seconds_before()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var copy = Path.Combine(server.DataDirectory, "copy.db");
        await Eventually.TrueAsync(() =>
        {
            File.Copy(Path.Combine(server.DataDirectory, "secure-messaging.db"), copy, overwrite: true);
            try
            {
                return Count(copy, "users") == 1;
            }
            catch (SqliteException torn) when (torn.SqliteErrorCode == Corrupt)
            {
                // The server wrote to the file in the middle of the copy.
                return false;
            }
        });
    }

    [Fact]
    public async Task A_reader_outside_of_the_process_delays_no_send_and_is_reported_until_it_ends()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var hub = await anna.ConnectAsync();
        await hub.SendAsync(new SendRequest(room.Id, Guid.NewGuid(), "a-text-that-expires"u8.ToArray(), TimeToLiveSeconds: 60));
        using var reader = new SqliteConnection($"Data Source={Path.Combine(server.DataDirectory, "secure-messaging.db")};Pooling=False;Mode=ReadOnly");
        reader.Open();
        var reading = reader.BeginTransaction(deferred: true);
        using (var command = reader.CreateCommand())
        {
            command.Transaction = reading;
            command.CommandText = "select count(*) from entries";
            command.ExecuteScalar();
        }

        server.Time.Advance(TimeSpan.FromMinutes(3));
        var slowest = TimeSpan.Zero;
        // On another thread: SQLite's calls block, so the sends would begin only after the purge.
        var purge = Task.Run(() => server.Services.GetRequiredService<RetentionService>().RunOnceAsync(CancellationToken.None));
        for (var i = 0; i < 40 || !purge.IsCompleted; i++)
        {
            var started = Stopwatch.GetTimestamp();
            await hub.SendAsync(room.Id, [1, 2, 3]);
            var took = Stopwatch.GetElapsedTime(started);
            slowest = took > slowest ? took : slowest;
            await Task.Delay(20);
        }

        await purge;
        // The writer was blocked for 150 ms; the rest is the busy machine. Waiting for the reader takes four seconds.
        Assert.True(slowest < TimeSpan.FromSeconds(3), $"A send took {slowest}.");
        Assert.Equal("degraded", await DatabaseStateAsync(server));
        Assert.Single(server.Logs, line => line.Contains("\"@m\":\"A reader of ", StringComparison.Ordinal));
        Assert.NotEqual(0, WalLength(server));

        reading.Dispose();
        server.Time.Advance(TimeSpan.FromSeconds(10));
        await Eventually.TrueAsync(async () => await DatabaseStateAsync(server) == "healthy");
        Assert.Single(server.Logs, line => line.Contains("emptied again", StringComparison.Ordinal));
        foreach (var file in Directory.GetFiles(server.DataDirectory, "secure-messaging.db*"))
            Assert.DoesNotContain("a-text-that-expires", await ReadAsync(file), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_is_logged_once_and_reported_by_readiness_until_space_is_free()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        await using var server = new ServerProcess(directory.Path)
        {
            Before = $"mount -t tmpfs -o size=6m none {directory.Path} && head -c 3000000 /dev/zero > {directory.Combine("ballast")}",
        };
        await server.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(server.Url);
        var room = await anna.CreateRoomAsync([]);
        using var http = new HttpClient { BaseAddress = server.Url };
        var refused = 0;
        for (var i = 0; i < 400 && refused < 10; i++)
        {
            using var response = await SendAsync();
            refused += (int)response.StatusCode == 503 ? 1 : 0;
        }

        Assert.Equal(10, refused);
        Assert.Equal(503, (int)(await http.GetAsync("/health/ready")).StatusCode);
        Assert.Single(server.Output, line => line.Contains("\"@m\":\"The disk of the database is full", StringComparison.Ordinal));
        Assert.DoesNotContain(server.Output, line => line.Contains("   at ", StringComparison.Ordinal));

        File.Delete($"/proc/{server.Id}/root{directory.Combine("ballast")}");
        await Eventually.TrueAsync(async () => (await http.GetAsync("/health/ready")).IsSuccessStatusCode);
        using var sent = await SendAsync();
        Assert.Equal(200, (int)sent.StatusCode);

        Task<HttpResponseMessage> SendAsync() => anna.Http.PostAsJsonAsync(
            $"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), new byte[30_000]), Wire.Json);
    }

    [Fact]
    public async Task A_send_to_a_moved_database_file_is_not_acknowledged()
    {
        await using var server = await shared.DedicatedAsync();
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var file = Path.Combine(server.DataDirectory, "secure-messaging.db");
        await SendAsync(200);

        File.Move(file, $"{file}.old");
        await SendAsync(503);
        await SendAsync(503);
        using (var ready = await server.Http.GetAsync("/health/ready"))
            Assert.Equal(503, (int)ready.StatusCode);
        Assert.Single(server.Logs, line => line.Contains("Nothing can be stored: the file of the database was moved", StringComparison.Ordinal));
        Assert.DoesNotContain(server.Logs, line => line.Contains("   at ", StringComparison.Ordinal));
        // An empty file in its place would hide the failure, and a restart would reject it.
        Assert.False(File.Exists(file));

        File.Move($"{file}.old", file);
        await SendAsync(200);
        server.Time.Advance(TimeSpan.FromSeconds(11));
        await SendAsync(200);
        Assert.Equal("healthy", await DatabaseStateAsync(server));

        async Task SendAsync(int status)
        {
            using var sent = await anna.Http.PostAsJsonAsync($"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1]), Wire.Json);
            Assert.Equal(status, (int)sent.StatusCode);
        }
    }

    [Fact]
    public async Task A_damaged_file_is_an_outage_and_reported_by_readiness()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        await using var server = new ServerProcess(directory.Path);
        await server.StartAsync();
        await using var anna = await TestPeople.SignUpAsync(server.Url);
        using var http = new HttpClient { BaseAddress = server.Url };
        var garbage = new byte[200_000];
        new Random(1).NextBytes(garbage);
        await Eventually.TrueAsync(async () =>
        {
            await using (var file = new FileStream(directory.Combine("secure-messaging.db"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
                await file.WriteAsync(garbage);
            // After a write, readers reload their cached pages.
            using var made = await anna.Http.PostAsJsonAsync("/v1/rooms", new CreateRoomRequest(RoomKind.Group, []), Wire.Json);
            Assert.True((int)made.StatusCode is 201 or 503, $"{made.StatusCode}");
            using var read = await anna.Http.GetAsync("/v1/me");
            Assert.True((int)read.StatusCode is 200 or 503, $"{read.StatusCode}");
            return (int)read.StatusCode == 503;
        });
        Assert.Equal(503, (int)(await http.GetAsync("/health/ready")).StatusCode);
        // One for each of the engine's error codes.
        Assert.InRange(server.Output.Count(line => line.Contains("\"@m\":\"Nothing can be stored: ", StringComparison.Ordinal)), 1, 2);
        Assert.DoesNotContain(server.Output, line => line.Contains("   at ", StringComparison.Ordinal));
    }

    private static long Count(string file, string table)
    {
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"select count(*) from sqlite_master where name = '{table}'";
        if ((long)command.ExecuteScalar()! == 0)
            return 0;
        command.CommandText = $"select count(*) from {table}";
        return (long)command.ExecuteScalar()!;
    }

    private static long WalLength(TestServer server) => new FileInfo(Path.Combine(server.DataDirectory, "secure-messaging.db-wal")).Length;

    private static async Task<string> ReadAsync(string file)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
        return await reader.ReadToEndAsync();
    }

    private static async Task<string?> DatabaseStateAsync(TestServer server)
    {
        using var document = System.Text.Json.JsonDocument.Parse(await server.Http.GetStringAsync("/health/ready"));
        return document.RootElement.GetProperty("checks").GetProperty("database").GetString();
    }
}
