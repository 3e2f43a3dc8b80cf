using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Chat;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>Readers that stop reading: nobody else notices, memory stays bounded, and on coming back they are told to sync.</summary>
public abstract class SlowReaderTests(TestServer server)
{
    [Fact]
    public async Task A_reader_that_stalls_slows_nobody_and_is_told_to_resync()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        var reader = await users[1].ConnectAsync();
        var stalled = new List<ClientWebSocket>();
        for (var i = 0; i < 5; i++)
            stalled.Add(await StalledSocket.OpenAsync(users[1], server.Url, Wire.HubPath));

        // 5 × 24 MB would have to wait somewhere if it were kept.
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var watch = Stopwatch.StartNew();
        long seq = 0;
        for (var i = 0; i < 800; i++)
            seq = (await writer.SendAsync(room.Id, new byte[30 * 1024])).Seq;
        var sending = watch.Elapsed;
        await reader.WaitAsync(room.Id, entries => entries.Length >= 800);
        Assert.Equal(Enumerable.Range(3, 800).Select(i => (long)i), reader.Received(room.Id).Select(entry => entry.Seq));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"800 sends beside 5 stalled readers: {sending.TotalMilliseconds:F0} ms; memory {(GC.GetTotalMemory(forceFullCollection: true) - before) >> 20} MiB, of which the test's own reader holds 24");

        // A sender who does not read is heard nevertheless, after a while.
        await Task.WhenAll(stalled.Select(socket => SendAsync(socket, new SendRequest(room.Id, Guid.NewGuid(), [1]))));
        await reader.WaitAsync(room.Id, entries => entries.Length >= 800 + stalled.Count);
        seq += stalled.Count;

        // Longer than SignalR lets a send take of its own accord.
        await Task.Delay(TimeSpan.FromSeconds(11));
        // On a machine so slow that they stood still for half a minute they have been cut off instead.
        if (watch.Elapsed < TimeSpan.FromSeconds(24))
            Assert.All(await Task.WhenAll(stalled.Select(socket => ReadsResyncAsync(socket, room.Id))), Assert.True);
        stalled.ForEach(socket => socket.Dispose());
        Assert.Equal(seq, (await reader.SyncAsync(room.Id, seq - 1)).HeadSeq);
    }

    [Fact]
    public async Task A_reader_that_takes_nothing_for_half_a_minute_is_cut_off()
    {
        var (_, room, stalled) = await StallAsync();
        using var socket = stalled;
        await Task.Delay(TimeSpan.FromSeconds(33));
        await Assert.ThrowsAnyAsync<WebSocketException>(() => ReadsResyncAsync(stalled, room.Id));
    }

    [Fact]
    public async Task A_reader_that_takes_nothing_cannot_outstay_its_session()
    {
        var (reader, _, stalled) = await StallAsync();
        using var socket = stalled;
        var connections = server.Services.GetRequiredService<ChatConnections>();
        Assert.Single(connections.Of(reader.Id));
        using var loggedOut = await reader.Http.PostAsync("/v1/auth/logout", null);
        Assert.Equal(204, (int)loggedOut.StatusCode);
        // Long before one that only does not read is cut off.
        for (var until = DateTime.UtcNow.AddSeconds(15); !connections.Of(reader.Id).IsEmpty; await Task.Delay(100))
            Assert.True(DateTime.UtcNow < until, "The connection is still there.");
    }

    /// <summary>A member who has read nothing of 9 MB.</summary>
    private async Task<(TestUser Reader, Room Room, ClientWebSocket Socket)> StallAsync()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        var stalled = await StalledSocket.OpenAsync(users[1], server.Url, Wire.HubPath);
        for (var i = 0; i < 300; i++)
            await writer.SendAsync(room.Id, new byte[30 * 1024]);
        return (users[1], room, stalled);
    }

    private static Task SendAsync(ClientWebSocket socket, SendRequest request) => socket.SendAsync(
        Encoding.UTF8.GetBytes($$"""{"type":1,"invocationId":"1","target":"Send","arguments":[{{JsonSerializer.Serialize(request, Wire.Json)}}]}""" + "\u001e"),
        WebSocketMessageType.Text, endOfMessage: true, CancellationToken.None);

    private static async Task<bool> ReadsResyncAsync(ClientWebSocket socket, Guid roomId)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var buffer = new byte[256 * 1024];
        var tail = "";
        while (true)
        {
            var received = await socket.ReceiveAsync(buffer.AsMemory(), timeout.Token);
            if (received.MessageType == WebSocketMessageType.Close)
                return false;
            tail = (tail.Length > 200 ? tail[^200..] : tail) + Encoding.ASCII.GetString(buffer, 0, received.Count);
            if (tail.Contains($"\"Resync\",\"arguments\":[\"{roomId}\"]", StringComparison.Ordinal))
                return true;
        }
    }
}

public sealed class SlowReaderTestsOnSqlite(SqliteServer server) : SlowReaderTests(server);

public sealed class SlowReaderTestsOnPostgres(PostgresServer server) : SlowReaderTests(server);
