using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.StackExchangeRedis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Admin.LiveLogs;
using SecureMessaging.Tests.Harness;
using StackExchange.Redis;

namespace SecureMessaging.Tests.Admin;

/// <summary>An attacker on Redis while lines flow between nodes: reading shows no line, writing brings none.</summary>
[Trait("Ring", "Full")]
public sealed partial class LogSecrecyTests(PostgresServer shared)
{
    private const string Prefix = "secure-messaging:";
    private const string Marker = "marker-5f1c9a";

    [Fact]
    public async Task Read_access_to_Redis_shows_no_line_and_no_filter()
    {
        await using var nodes = await TwoNodes.StartAsync(shared, $"alpha-{Marker}", "beta");
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();
        await using var spy = await Spy.StartAsync(nodes.Redis);
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Node: $"alpha-{Marker}"), beta.Url);
        await watch.WaitAsync(line => line.EventId == LogLoad.Event, Log(alpha, Marker));
        await Task.Delay(500);

        var messages = spy.Messages;
        // The spy sees the traffic: announcements of beta and lines of alpha.
        Assert.Contains(messages, message => message.Channel.EndsWith(":group:nodes", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.Channel.Contains(":connection:", StringComparison.Ordinal));
        Assert.Contains("PUBLISH", spy.Commands, StringComparison.Ordinal);
        foreach (var text in messages.SelectMany(message => Readings(message.Payload)).Append(spy.Commands).SelectMany(text => new[] { text, Decode(text) }))
        {
            Assert.DoesNotContain(Marker, text, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(nameof(LogLine.Severity), text, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    public async Task Write_access_to_Redis_brings_no_line_and_stops_no_node()
    {
        await using var nodes = await TwoNodes.StartAsync(shared, $"alpha-{Marker}", "beta");
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();
        await using var spy = await Spy.StartAsync(nodes.Redis);
        await using var onBeta = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), beta.Url);
        await onBeta.WaitAsync(line => line.Message.StartsWith(Marker, StringComparison.Ordinal), Log(alpha, Marker));
        await Task.Delay(500);
        var recorded = spy.Messages;
        var lines = recorded.Where(message => message.Channel.Contains(":connection:", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(lines);

        // A third node has received nothing from alpha yet, so no counter protects it.
        await using var gamma = await nodes.AnotherAsync("--Server:NodeName=gamma");
        await using var onGamma = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), gamma.Url);
        await using var attacker = await ConnectionMultiplexer.ConnectAsync(nodes.Redis.ConnectionString);
        await using var attackersSignalR = await ConnectionMultiplexer.ConnectAsync($"{nodes.Redis.ConnectionString},channelPrefix={Prefix}");
        await Eventually.TrueAsync(() => Inboxes(attacker).Length == 3);
        var shown = onBeta.Lines.Length;

        // Recorded messages again, on their own channel and on every other, cut and changed.
        var channels = attacker.GetServers()[0].SubscriptionChannels();
        Assert.InRange(channels.Length, 8, 100);
        byte[][] payloads = [.. recorded.Select(message => message.Payload), .. lines.SelectMany(line => Variants(line.Payload)), [], [0x93]];
        foreach (var channel in channels)
        {
            foreach (var payload in payloads)
                await attacker.GetSubscriber().PublishAsync(channel, payload);
        }

        // Messages that SignalR's own library makes, for administrators and for nodes.
        var forged = new LogLine("alpha", DateTime.UtcNow, LogSeverity.Error, LogLoad.Event, "Forged", "SecureMessaging.Server.Test", "forged", []);
        byte[] bytes = [.. Guid.NewGuid().ToByteArray(), .. JsonOf([forged])];
        var inboxes = Inboxes(attacker);
        await SendAsync<AdminHub>(attackersSignalR, alpha, inboxes, nameof(IAdminClient.Logged), [new[] { forged }]);
        foreach (var target in new[] { "Logged", "Watching", "Unknown" })
        {
            await SendAsync<LogNodes>(attackersSignalR, alpha, inboxes, target, [bytes]);
            await SendAsync<LogNodes>(attackersSignalR, alpha, inboxes, target, [new byte[3]]);
            await SendAsync<LogNodes>(attackersSignalR, alpha, inboxes, target, []);
            await SendAsync<LogNodes>(attackersSignalR, alpha, inboxes, target, [new[] { forged }]);
        }

        // The nodes still work. Their own lines come after the attacker's messages.
        foreach (var (watch, node) in new[] { (onBeta, alpha), (onBeta, gamma), (onGamma, alpha), (onGamma, beta) })
        {
            var text = $"undisturbed {Guid.NewGuid()}";
            await watch.WaitAsync(line => line.Message.StartsWith(text, StringComparison.Ordinal), Log(node, text));
        }

        Assert.Equal(shown, onBeta.Lines.Count(line => !line.Message.StartsWith("undisturbed", StringComparison.Ordinal)));
        Assert.All(onGamma.Lines, line => Assert.StartsWith("undisturbed", line.Message, StringComparison.Ordinal));
        Assert.False(alpha.Watchers().All.Any());
    }

    [Fact]
    public async Task Nodes_that_an_attacker_removes_from_their_group_join_it_again()
    {
        await using var nodes = await TwoNodes.StartAsync(shared, $"alpha-{Marker}", "beta");
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();
        await using var attacker = await ConnectionMultiplexer.ConnectAsync(nodes.Redis.ConnectionString);
        await using var attackersSignalR = await ConnectionMultiplexer.ConnectAsync($"{nodes.Redis.ConnectionString},channelPrefix={Prefix}");
        await Eventually.TrueAsync(() => Inboxes(attacker).Length == 2);

        // Twice: the second time they are members again. Each call waits until the node has left the group.
        var manager = Manager<LogNodes>(attackersSignalR, alpha);
        for (var i = 0; i < 2; i++)
        {
            await Eventually.TrueAsync(() => IsGroupSubscribed(attacker));
            foreach (var inbox in Inboxes(attacker))
                await manager.RemoveFromGroupAsync(inbox, LogNodes.All);
        }

        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), beta.Url);
        await watch.WaitAsync(line => line.Message.StartsWith(Marker, StringComparison.Ordinal), Log(alpha, Marker));
    }

    [Fact]
    public async Task A_node_opens_one_connection_to_Redis()
    {
        await using var nodes = await TwoNodes.StartAsync(shared, $"alpha-{Marker}", "beta");
        var (alpha, beta) = nodes;
        await using var admin = await alpha.SignUpAdminAsync();
        await using var watch = await LogWatch.StartAsync(admin, new LogFilter(Event: "88"), beta.Url);
        await watch.WaitAsync(line => line.EventId == LogLoad.Event, Log(alpha, Marker));
        await using var operatorsConnection = await ConnectionMultiplexer.ConnectAsync($"{nodes.Redis.ConnectionString},name=operator,allowAdmin=true");
        string[] names = [];
        // The library opens two sockets for each connection, for commands and for subscriptions.
        await Eventually.TrueAsync(
            () =>
            {
                var clients = operatorsConnection.GetServers()[0].ClientList().Select(client => client.Name ?? "");
                names = [.. clients.Where(name => !name.StartsWith("operator", StringComparison.Ordinal))];
                return names.Length == 4;
            },
            () => string.Join('\n', names));
        Assert.All(names, name => Assert.StartsWith("secure-messaging", name, StringComparison.Ordinal));
    }

    private static byte[] JsonOf(LogLine[] lines) => System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(lines, Wire.Json);

    private static Func<Task> Log(TestServer node, string text) => () =>
    {
        node.Log(text);
        return Task.CompletedTask;
    };

    private static async Task SendAsync<THub>(ConnectionMultiplexer attacker, TestServer node, string[] connections, string target, object?[] arguments)
        where THub : Hub
    {
        var manager = Manager<THub>(attacker, node);
        await manager.SendAllAsync(target, arguments);
        await manager.SendGroupAsync(LogNodes.All, target, arguments);
        await manager.SendConnectionsAsync(connections, target, arguments);
    }

    private static RedisHubLifetimeManager<THub> Manager<THub>(ConnectionMultiplexer attacker, TestServer node)
        where THub : Hub => new(
            NullLogger<RedisHubLifetimeManager<THub>>.Instance,
            Options.Create(new RedisOptions { ConnectionFactory = _ => Task.FromResult<IConnectionMultiplexer>(attacker) }),
            node.Services.GetRequiredService<IHubProtocolResolver>(),
            Options.Create(new HubOptions { SupportedProtocols = ["json"] }),
            Options.Create(new HubOptions<THub>()));

    private static bool IsGroupSubscribed(ConnectionMultiplexer redis) =>
        redis.GetServers()[0].SubscriptionChannels().Any(channel => channel.ToString().EndsWith($":group:{LogNodes.All}", StringComparison.Ordinal));

    private static string[] Inboxes(ConnectionMultiplexer redis) =>
        [.. redis.GetServers()[0].SubscriptionChannels().Select(channel => channel.ToString())
            .Where(channel => channel.Contains(":connection:", StringComparison.Ordinal))
            .Select(channel => channel[(channel.LastIndexOf(':') + 1)..])];

    private static IEnumerable<byte[]> Variants(byte[] payload)
    {
        yield return payload[..(payload.Length / 2)];
        yield return payload[..^1];
        // Of the base64 text inside.
        var changed = (byte[])payload.Clone();
        changed[payload.Length / 2] = changed[payload.Length / 2] == (byte)'A' ? (byte)'B' : (byte)'A';
        yield return changed;
    }

    private static IEnumerable<string> Readings(byte[] payload) =>
        [Encoding.Latin1.GetString(payload), Encoding.UTF8.GetString(payload), Encoding.Unicode.GetString(payload)];

    /// <summary>What the base64 texts in it hold.</summary>
    private static string Decode(string text) => string.Join('\n', Base64()
        .Matches(text.Replace(@"\\u002B", "+", StringComparison.Ordinal).Replace(@"\u002B", "+", StringComparison.Ordinal))
        .Select(match => match.Value[..(match.Value.Length / 4 * 4)])
        .Select(value => Encoding.Latin1.GetString(Convert.FromBase64String(value))));

    [GeneratedRegex("[A-Za-z0-9+/]{40,}={0,2}", RegexOptions.None, 1000)]
    private static partial Regex Base64();

    /// <summary>Everything that read access to Redis shows: all channels, and all commands.</summary>
    private sealed class Spy(ConnectionMultiplexer subscriber, TcpClient monitor) : IAsyncDisposable
    {
        private readonly ConcurrentQueue<(string Channel, byte[] Payload)> messages = new();
        private readonly StringBuilder commands = new();

        public (string Channel, byte[] Payload)[] Messages => [.. messages];

        public string Commands
        {
            get
            {
                lock (commands)
                    return commands.ToString();
            }
        }

        public static async Task<Spy> StartAsync(RedisProcess redis)
        {
            var endpoint = redis.ConnectionString.Split(':');
            var spy = new Spy(await ConnectionMultiplexer.ConnectAsync(redis.ConnectionString), new TcpClient(endpoint[0], int.Parse(endpoint[1])));
            await spy.ListenAsync();
            return spy;
        }

        public async ValueTask DisposeAsync()
        {
            monitor.Dispose();
            await subscriber.DisposeAsync();
        }

        private async Task ListenAsync()
        {
            await subscriber.GetSubscriber().SubscribeAsync(
                RedisChannel.Pattern("*"), (channel, message) => messages.Enqueue((channel.ToString(), (byte[])message!)));
            var stream = monitor.GetStream();
            await stream.WriteAsync("MONITOR\r\n"u8.ToArray());
            _ = Task.Run(async () =>
            {
                var buffer = new byte[64 * 1024];
                while (await stream.ReadAsync(buffer) is > 0 and var count)
                {
                    lock (commands)
                        commands.Append(Encoding.Latin1.GetString(buffer, 0, count));
                }
            });
        }
    }
}
