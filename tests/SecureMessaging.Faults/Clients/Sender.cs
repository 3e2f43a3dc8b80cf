using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;
using SecureMessaging.Faults.History;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>
/// Sends as fast as it is answered. What ended without an answer is repeated with the same ids, in the same order, before anything new is sent.
/// </summary>
internal sealed class Sender(int index, RawClient client, Guid[] rooms, int maxBatch, TimeSpan pause, int seed)
{
    private static readonly TimeSpan AttemptPatience = TimeSpan.FromSeconds(12);
    private static readonly TimeSpan FailurePause = TimeSpan.FromMilliseconds(100);
    private readonly Random random = new(seed);
    private int counter;

    /// <summary>Rooms to send to, as indexes.</summary>
    public int[] Rooms { get; init; } = [.. Enumerable.Range(0, rooms.Length)];

    public int Acked { get; private set; }

    /// <summary>Longest time from an attempt to its outcome, whatever that was.</summary>
    public TimeSpan SlowestOutcome { get; private set; }

    /// <summary>Start and end of each acknowledged call (Stopwatch ticks).</summary>
    public List<(long Start, long End)> Acks { get; } = [];

    /// <param name="sending">When cancelled, nothing new is sent.</param>
    /// <param name="patience">When cancelled, what has not converged never will.</param>
    public async Task RunAsync(CancellationToken sending, CancellationToken patience)
    {
        while (!sending.IsCancellationRequested)
        {
            var room = Rooms[random.Next(Rooms.Length)];
            var batch = Enumerable.Range(0, random.Next(4) == 0 ? 1 : random.Next(maxBatch / 2, maxBatch + 1)).Select(_ => Create(room)).ToList();
            await DeliverAsync(batch, patience);
            // Also keeps one who was removed from knocking without a pause.
            await Task.Delay(batch.Exists(attempted => attempted.Send.Outcome == Outcome.Failed) ? FailurePause : pause, CancellationToken.None);
        }
    }

    private Attempted Create(int room)
    {
        var bytes = Payload.Create(index, ++counter, random.Next(24, 64), random);
        var send = new Send((short)room, Guid.NewGuid(), counter, Payload.Hash(bytes), Stopwatch.GetTimestamp());
        return new Attempted(new SendRequest(rooms[room], send.Id, bytes), send);
    }

    private async Task DeliverAsync(List<Attempted> batch, CancellationToken patience)
    {
        var all = batch;
        var start = Stopwatch.GetTimestamp();
        while (batch.Count > 0 && !patience.IsCancellationRequested)
        {
            try
            {
                var connection = await client.ReadyAsync(patience);
                var attempt = Stopwatch.GetTimestamp();
                await AttemptAsync(connection, batch);
                SlowestOutcome = TimeSpan.FromTicks(Math.Max(SlowestOutcome.Ticks, Stopwatch.GetElapsedTime(attempt).Ticks));
            }
            catch (OperationCanceledException)
            {
                break;
            }

            var left = batch.Where(attempted => !attempted.Done).ToList();
            if (left.Count > 0 && left.Count == batch.Count)
                await Task.Delay(random.Next(50, 250), CancellationToken.None);
            batch = left;
        }

        if (all.Exists(attempted => attempted.Send.Outcome == Outcome.Acked))
            Acks.Add((start, Stopwatch.GetTimestamp()));
        Acked += all.Count(attempted => attempted.Send.Outcome == Outcome.Acked);
        lock (client.History)
        {
            client.History.Sends.AddRange(all.Select(attempted => attempted.Send));
            if (batch.Count > 0)
                client.History.Complaints.Add($"{batch.Count} sends had no outcome in the end");
        }
    }

    private async Task AttemptAsync(IHubClient connection, List<Attempted> batch)
    {
        try
        {
            if (batch.Count == 1)
            {
                var ack = await connection.InvokeAsync<SendAck>(nameof(IChatHub.Send), [batch[0].Request], CancellationToken.None).WaitAsync(AttemptPatience);
                batch[0].Settle(new SendResult(ack, null));
                return;
            }

            SendRequest[] requests = [.. batch.Select(attempted => attempted.Request)];
            var results = await connection.InvokeAsync<SendResult[]>(nameof(IChatHub.SendBatch), [requests], CancellationToken.None).WaitAsync(AttemptPatience);
            for (var i = 0; i < results.Length; i++)
                batch[i].Settle(results[i]);
        }
        catch (HubException exception) when (Parse(exception.Message) is { } error)
        {
            foreach (var attempted in batch)
                attempted.Settle(new SendResult(null, error));
        }
        catch (TimeoutException)
        {
            batch.ForEach(attempted => attempted.NoAnswer());
            await client.AbandonAsync(connection);
        }
        catch (Exception)
        {
            // The cause of the failed connection does not matter: the outcome is unknown.
            batch.ForEach(attempted => attempted.NoAnswer());
        }
    }

    private static ErrorBody? Parse(string message)
    {
        var start = message.IndexOf('{', StringComparison.Ordinal);
        try
        {
            return start < 0 ? null : JsonSerializer.Deserialize<ErrorBody>(message[start..], Wire.Json);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed class Attempted(SendRequest request, Send send)
    {
        private Send send = send;

        public SendRequest Request => request;

        public Send Send => send;

        public bool Done { get; private set; }

        public void NoAnswer() => send.WasUnknown = true;

        public void Settle(SendResult result)
        {
            switch (result)
            {
                case { Ack: { } ack }:
                    (send.Outcome, send.Seq, send.End, Done) = (Outcome.Acked, ack.Seq, Stopwatch.GetTimestamp(), true);
                    break;
                case { Error.Code: ErrorCode.Internal or ErrorCode.Unavailable }:
                    send.WasUnknown = true;
                    break;
                case { Error.Retryable: true } when send.WasUnknown:
                    break;
                default:
                    // Definite, unless an earlier attempt may have been stored after all.
                    send.Outcome = send.WasUnknown ? Outcome.Unknown : Outcome.Failed;
                    Done = true;
                    break;
            }
        }
    }
}
