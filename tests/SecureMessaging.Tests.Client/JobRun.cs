using System.Text;
using System.Text.Json;
using SecureMessaging.Client;

namespace SecureMessaging.Tests.Client;

/// <summary>Runs a <see cref="Job"/> with the SDK, as an application does, and writes the transcript.</summary>
internal sealed class JobRun : IAsyncDisposable
{
    private readonly Job job;
    private readonly SecureMessagingClient client;
    private readonly List<TranscriptLine> sent = [];
    private readonly List<TranscriptLine> acknowledged = [];
    private readonly List<TranscriptLine> received = [];
    private readonly Dictionary<Guid, long> positions = [];
    private readonly CancellationTokenSource stop = new();
    private readonly Task reading;

    private JobRun(Job job, SecureMessagingClient client)
    {
        (this.job, this.client) = (job, client);
        reading = Task.Run(ReadAsync);
    }

    public static async Task<JobRun> StartAsync(Job job)
    {
        var cipher = new SharedKeyCipher();
        foreach (var (room, key) in job.Rooms.Zip(job.Keys))
            cipher.AddRoom(room, key);
        var options = new ClientOptions { Cipher = cipher, StorePath = job.StorePath, MaxReconnectDelay = TimeSpan.FromSeconds(1) };
        var run = new JobRun(job, await SecureMessagingClient.SignInAsync(job.Url, job.Username, job.Password, options));
        run.client.Connect();
        while (run.client.State != ConnectionState.Connected)
            await Task.Delay(10);
        return run;
    }

    /// <summary>Sends to the rooms in turn and returns when every send is acknowledged.</summary>
    public async Task SendAllAsync()
    {
        var texts = await File.ReadAllLinesAsync(job.Texts);
        var random = new Random(job.Seed);
        var tasks = new Task[job.Messages];
        using var places = new SemaphoreSlim(job.InFlight, job.InFlight);
        for (var i = 0; i < job.Messages; i++)
        {
            await places.WaitAsync();
            var text = texts[random.Next(texts.Length)];
            var room = job.Rooms[i % job.Rooms.Length];
            var sentAt = Now();
            // The call stores the message in the outbox before it returns, so sends keep the order of the calls.
            tasks[i] = NoteAsync(client.SendAsync(room, Encoding.UTF8.GetBytes(text)), i, sentAt, room, Transcript.HashOf(text), places);
        }

        await Task.WhenAll(tasks);
    }

    /// <summary>Waits until all entries up to these seqs are read.</summary>
    public async Task ReceivedUpToAsync(Dictionary<Guid, long> heads)
    {
        for (var wait = 0; !reading.IsCompleted && job.Rooms.Any(room => Position(room) < heads[room]); wait++)
        {
            if (wait % 500 == 0)
                await Console.Error.WriteLineAsync(
                    $"{client.State}, reads {string.Join(", ", job.Rooms.Select(room => $"{room} at {Position(room)} of {heads[room]}"))}");
            await Task.Delay(10);
        }

        // Leaves time for entries that must not come: duplicates.
        await Task.Delay(500);
        await stop.CancelAsync();
        await reading;
    }

    public Task WriteTranscriptAsync() => File.WriteAllLinesAsync(
        job.Transcript, sent.OrderBy(line => line.Seq).Select(line => line with { Seq = 0 }).Concat(acknowledged).Concat(received)
            .Select(line => JsonSerializer.Serialize(line)));

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await client.DisposeAsync();
        stop.Dispose();
    }

    private static long Now() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    private async Task NoteAsync(Task<SendReceipt> send, int order, long sentAt, Guid room, string hash, SemaphoreSlim places)
    {
        var receipt = await send;
        lock (sent)
        {
            // The receipt contains the id, so the line is written only now, at the place of the call.
            sent.Add(new TranscriptLine(TranscriptEvent.Sent, sentAt, room, receipt.ClientMessageId, order, TextHash: hash));
            acknowledged.Add(new TranscriptLine(TranscriptEvent.Acknowledged, Now(), receipt.RoomId, receipt.ClientMessageId, receipt.Seq));
            Console.WriteLine(Talk.Acknowledged + acknowledged.Count);
        }

        places.Release();
    }

    private async Task ReadAsync()
    {
        try
        {
            await foreach (var happened in client.ReadAllAsync(stop.Token))
                Note(happened);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // All entries are read.
        }
    }

    private void Note(RoomEvent happened)
    {
        if (happened is not EntryEvent entry)
            return;
        received.Add(entry switch
        {
            MessageReceived message => new TranscriptLine(
                TranscriptEvent.Received, Now(), message.RoomId, message.Entry.Id, message.Seq, message.Envelope.SenderName,
                Transcript.HashOf(Encoding.UTF8.GetString(message.Envelope.Content))),
            Undecryptable broken => new TranscriptLine(TranscriptEvent.Received, Now(), broken.RoomId, broken.Entry.Id, broken.Seq, TextHash: "undecryptable"),
            _ => new TranscriptLine(TranscriptEvent.Received, Now(), entry.RoomId, null, entry.Seq),
        });
        lock (positions)
            positions[entry.RoomId] = entry.Seq;
    }

    private long Position(Guid room)
    {
        lock (positions)
            return positions.GetValueOrDefault(room);
    }
}
