using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Client;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.MainJob;

/// <summary>
/// 20 client processes send 20,000 texts in 10 rooms while the server is killed five times without warning. Afterwards all transcripts are compared.
/// </summary>
internal sealed class MainJobRun(string engine, string? postgres) : IAsyncDisposable
{
    private const int Clients = 20;
    private const int Rooms = 10;
    private const int MembersOfRoom = 6;
    private const int Messages = 20_000;
    private const int Kills = 5;
    private const int InFlight = 32;
    // Not all: twenty processes that flush every send measure the disk more than the server.
    private const int OnDiskOneIn = 5;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(300);

    private readonly TestDirectory directory = new();
    private readonly List<ClientProcess> clients = [];
    private readonly List<long> kills = [];
    private readonly Stopwatch watch = Stopwatch.StartNew();
    private ServerProcess? server;

    public static async Task RunAsync(string engine, string? postgres)
    {
        await using var run = new MainJobRun(engine, postgres);
        using var timeout = new CancellationTokenSource(Patience);
        await run.RunAsync(timeout.Token);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in clients)
            await client.DisposeAsync();
        if (server is not null)
            await server.DisposeAsync();
        directory.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        server = new ServerProcess(directory.Combine("server"), postgres);
        await server.StartAsync();
        var (users, rooms) = await PopulateAsync(server.Url);
        try
        {
            StartClients(users, rooms);
            await Task.WhenAll(clients.Select(client => client.Ready)).WaitAsync(cancellationToken);
            var started = watch.Elapsed;
            clients.ForEach(client => client.Tell(Talk.Go));
            await KillNowAndThenAsync(server, cancellationToken);
            await AcknowledgedAsync(Messages, cancellationToken);
            var sending = watch.Elapsed - started;
            var sent = watch.Elapsed;
            var heads = JsonSerializer.Serialize(await HeadsAsync(users[..Clients]));
            clients.ForEach(client => client.Tell(Talk.Finish + heads));
            await Task.WhenAll(clients.Select(client => client.EndedWellAsync(cancellationToken)));
            Judge($"{started.TotalSeconds:0} s to start, {sending.TotalSeconds:0} s to send, {(watch.Elapsed - sent).TotalSeconds:0} s to read the rest");
        }
        finally
        {
            foreach (var user in users)
                await user.DisposeAsync();
        }
    }

    private static async Task<(TestUser[] Users, Guid[][] RoomsOfUser)> PopulateAsync(Uri url)
    {
        var users = new TestUser[Clients];
        for (var i = 0; i < Clients; i++)
            users[i] = await TestPeople.SignUpAsync(url);
        var rooms = users.Select(_ => new List<Guid>()).ToArray();
        for (var r = 0; r < Rooms; r++)
        {
            var members = Enumerable.Range(0, MembersOfRoom).Select(i => ((r * Clients / Rooms) + i) % Clients).ToArray();
            var room = await users[members[0]].CreateRoomAsync(members.Skip(1).Select(member => users[member]));
            foreach (var member in members)
                rooms[member].Add(room.Id);
        }

        return (users, [.. rooms.Select(list => list.ToArray())]);
    }

    private void StartClients(TestUser[] users, Guid[][] rooms)
    {
        var texts = directory.Combine("texts");
        Texts.Write(texts);
        var keys = rooms.SelectMany(room => room).Distinct().ToDictionary(room => room, _ => SharedKeyCipher.GenerateKey());
        for (var i = 0; i < Clients; i++)
        {
            clients.Add(new ClientProcess(new Job(
                server!.Url, users[i].Username, users[i].Password, rooms[i], [.. rooms[i].Select(room => keys[room])], Messages / Clients, InFlight, texts,
                Seed.Value + i,
                directory.Combine($"transcript{i}.jsonl"),
                i % OnDiskOneIn == 0 ? directory.Combine($"client{i}.db") : null)));
        }
    }

    /// <summary>Kills after one, two … of six parts of the messages are acknowledged, so that every kill hits a busy server.</summary>
    private async Task KillNowAndThenAsync(ServerProcess victim, CancellationToken cancellationToken)
    {
        for (var kill = 1; kill <= Kills; kill++)
        {
            await AcknowledgedAsync(Messages * kill / (Kills + 1), cancellationToken);
            kills.Add(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds());
            await victim.KillAsync();
            await victim.StartAsync();
        }
    }

    private async Task AcknowledgedAsync(int count, CancellationToken cancellationToken)
    {
        while (clients.Sum(client => client.Acknowledged) < count)
        {
            if (clients.Find(client => client.Ended) is { } ended)
                Assert.Fail($"A client ended early. {ended.Complaint}");
            if (cancellationToken.IsCancellationRequested)
                Assert.Fail($"After {watch.Elapsed.TotalSeconds:0} s {clients.Sum(client => client.Acknowledged)} of {Messages} are acknowledged.\n"
                    + string.Join(
                        '\n', clients.Where(client => client.Acknowledged < Messages / Clients).Select(client => $"{client.Acknowledged} {client.Complaint}")));
            await Task.Delay(10, CancellationToken.None);
        }
    }

    private static async Task<Dictionary<Guid, long>> HeadsAsync(IEnumerable<TestUser> users)
    {
        var heads = new Dictionary<Guid, long>();
        foreach (var user in users)
        {
            foreach (var room in await user.Http.GetFromJsonAsync<Room[]>("/v1/rooms", Wire.Json) ?? [])
                heads[room.Id] = room.HeadSeq;
        }

        return heads;
    }

    private void Judge(string times)
    {
        var transcripts = clients.ConvertAll(client => Transcript.Read(client.Job.Username, client.Job.Rooms, client.Job.Transcript));
        var verdict = TranscriptChecker.Check(transcripts);
        var lines = transcripts.SelectMany(transcript => transcript.Lines).ToArray();
        var acks = lines.Where(line => line.Event == TranscriptEvent.Acknowledged).GroupBy(line => line.Id)
            .ToDictionary(id => id.Key!.Value, id => id.First().At);
        var inFlight = kills.ConvertAll(
            at => lines.Count(line => line.Event == TranscriptEvent.Sent && line.At <= at && acks.GetValueOrDefault(line.Id!.Value, long.MaxValue) > at));
        Console.WriteLine($"main job on {engine}: {verdict}");
        Console.WriteLine($"    {kills.Count} kills, {inFlight.Count(count => count > 0)} of them with sends in flight ({string.Join(", ", inFlight)}); "
            + $"{lines.Count(line => line.Event == TranscriptEvent.Received)} receptions; {times}");
        Assert.True(verdict.Clean, string.Join('\n', verdict.Findings.Take(20).Prepend(verdict.ToString())));
        Assert.Equal(Messages, verdict.Acknowledged);
        Assert.True(inFlight.TrueForAll(count => count > 0), "A kill met an idle server and proves nothing.");
    }
}
