using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Doors.Hub;
using SecureMessaging.Server.Doors.Hub.Transport;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Chat;

/// <summary>Clients that stop reading: other clients are not affected, memory stays bounded, and afterwards they get a resync.</summary>
[Trait("Ring", "Full")]
public abstract class SlowReaderTests(TestServer server)
{
    /// <summary>The bound of one client's waiting bytes, plus one frame.</summary>
    private const int MaxWaitingBytes = (1024 + 64) * 1024;

    [Fact]
    public async Task A_stalled_reader_slows_no_other_client_and_gets_a_resync()
    {
        await using var own = await server.DedicatedAsync();
        // The test controls the timers, so that a slow machine does not disconnect the readers before they read.
        own.Time.StopTimers();
        var users = await own.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        var reader = await users[1].ConnectAsync();
        var stalled = new List<ClientWebSocket>();
        for (var i = 0; i < 5; i++)
            stalled.Add(await StalledSocket.OpenAsync(users[1], own.Url, Wire.HubPath));

        long seq = 0;
        for (var i = 0; i < 800; i++)
            seq = (await writer.SendAsync(room.Id, new byte[30 * 1024])).Seq;
        await reader.WaitAsync(room.Id, entries => entries.Length >= 800);
        Assert.Equal(Enumerable.Range(3, 800).Select(i => (long)i), reader.Received(room.Id).Select(entry => entry.Seq));
        // 24 MB were sent to each.
        var waiting = own.Services.GetRequiredService<Subscribers>().Of(users[1].Id).Cast<HubSubscriber>()
            .Select(connection => Outgoing(connection).Waiting.Bytes).ToList();
        Assert.Equal(stalled.Count, waiting.Count(bytes => bytes > 0));
        Assert.All(waiting, bytes => Assert.InRange(bytes, 0, MaxWaitingBytes));

        // A client that does not read can still send, after a delay.
        await Task.WhenAll(stalled.Select(socket => SendAsync(socket, new SendRequest(room.Id, Guid.NewGuid(), [1]))));
        var arrived = reader.WaitAsync(room.Id, entries => entries.Length >= 800 + stalled.Count);
        var passed = TimeSpan.Zero;
        for (; passed < TimeSpan.FromSeconds(10) && !arrived.IsCompleted; passed += TimeSpan.FromSeconds(1))
        {
            await own.Time.PassAsync(TimeSpan.FromSeconds(1));
            await Task.WhenAny(arrived, Task.Delay(TimeSpan.FromMilliseconds(500)));
        }

        await arrived;
        seq += stalled.Count;

        // Longer than SignalR's own limit for a send, shorter than the server's limit for a stalled client.
        await own.Time.PassAsync(TimeSpan.FromSeconds(25) - passed);
        Assert.All(await Task.WhenAll(stalled.Select(socket => ReadsResyncAsync(socket, room.Id))), Assert.True);
        stalled.ForEach(socket => socket.Dispose());
        Assert.Equal(seq, (await reader.SyncAsync(room.Id, seq - 1)).HeadSeq);
    }

    [Fact]
    public async Task A_reader_that_reads_nothing_for_30_seconds_is_disconnected()
    {
        await using var own = await server.DedicatedAsync();
        var (_, room, stalled) = await StallAsync(own);
        using var socket = stalled;
        await own.Time.PassAsync(TimeSpan.FromSeconds(33));
        await Assert.ThrowsAnyAsync<WebSocketException>(() => ReadsResyncAsync(stalled, room.Id));
    }

    [Fact]
    public async Task A_reader_that_reads_nothing_is_disconnected_with_its_session()
    {
        var (reader, _, stalled) = await StallAsync(server);
        using var socket = stalled;
        var connections = server.Services.GetRequiredService<Subscribers>();
        Assert.Single(connections.Of(reader.Id));
        using var loggedOut = await reader.Http.PostAsync("/v1/auth/logout", null);
        Assert.Equal(204, (int)loggedOut.StatusCode);
        // Long before the limit of a stalled client.
        for (var until = DateTime.UtcNow.AddSeconds(15); !connections.Of(reader.Id).IsEmpty; await Task.Delay(100))
            Assert.True(DateTime.UtcNow < until, "The connection is still there.");
    }

    /// <summary>A member who has read nothing of 9 MB.</summary>
    private static async Task<(TestUser Reader, Room Room, ClientWebSocket Socket)> StallAsync(TestServer server)
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([users[1]]);
        var writer = await users[0].ConnectAsync(messagePack: true);
        var stalled = await StalledSocket.OpenAsync(users[1], server.Url, Wire.HubPath);
        for (var i = 0; i < 300; i++)
            await writer.SendAsync(room.Id, new byte[30 * 1024]);
        return (users[1], room, stalled);
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "outgoing")]
    private static extern ref HubFrameWriter Outgoing(HubSubscriber connection);

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
