using System.Text;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>The SDK with a temporarily failing disk and a server with wrong responses: it continues, and every call completes.</summary>
public sealed class ClientFaultTests : FakeHubTests
{
    [Fact]
    public async Task Sending_resumes_once_the_outbox_is_readable_again()
    {
        await using var client = await SignInAsync();
        var sent = SendAsync(client, "one");
        Break("outbox");
        await Assert.ThrowsAsync<IOException>(() => SendAsync(client, "lost"));
        client.Connect();
        await Task.Delay(500, Soon);
        Mend("outbox");
        await sent.WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.Equal(["one"], await TakeAsync(client, 1));
    }

    [Fact]
    public async Task A_rejection_that_cannot_be_stored_is_reported_once_it_can()
    {
        await using var client = await SignInAsync();
        hub.Refuse = _ =>
        {
            Break("outbox");
            hub.Refuse = _ => new ErrorBody(ErrorCode.Invalid, "No.", false);
            return new ErrorBody(ErrorCode.Invalid, "No.", false);
        };
        var sent = SendAsync(client, "one");
        client.Connect();
        await Task.Delay(500, Soon);
        Assert.False(sent.IsCompleted);
        Mend("outbox");
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => sent.WaitAsync(TimeSpan.FromSeconds(10), Soon));
        Assert.Equal(ErrorCode.Invalid, error.ErrorCode);
    }

    [Fact]
    public async Task The_connection_recovers_after_a_refresh_that_could_not_be_stored()
    {
        hub.TokenSeconds = 1;
        await using var client = await SignInAsync();
        Break("session");
        Directory.CreateDirectory(StorePath + ".renewal");
        client.Connect();
        await WarnedAsync(ClientWarningKind.Renewal, warning => warning.Exception is UnauthorizedAccessException);
        warnings.Clear();
        Directory.Delete(StorePath + ".renewal");
        await WarnedAsync(ClientWarningKind.Renewal, warning => warning.Exception is IOException);
        Assert.Equal(0, hub.Refreshes);
        hub.TokenSeconds = 600;
        Mend("session");
        await SendAsync(client, "back");
        Assert.Equal(ConnectionState.Connected, client.State);
    }

    [Fact]
    public async Task The_end_of_the_session_is_reported_although_it_cannot_be_stored()
    {
        await using var client = await SignInAsync();
        client.Connect();
        await SendAsync(client, "x");
        Break("session");
        await hub.ForAllAsync(all => all.SessionEnded(SessionEndReason.LoggedOut));
        Assert.Equal(ErrorCode.Unauthenticated, (await Assert.ThrowsAsync<SecureMessagingException>(() => TakeAsync(client, 2))).ErrorCode);
        Assert.Equal(ConnectionState.SignedOut, client.State);
    }

    [Fact]
    public async Task Reading_continues_although_no_cursor_can_be_stored()
    {
        for (var i = 0; i < 3; i++)
            Post($"{i}");
        await using var client = await SignInAsync();
        Break("cursors");
        client.Connect();
        Assert.Equal(["0", "1", "2"], await TakeAsync(client, 3));
        Mend("cursors");
        Post("3");
        await hub.ForAllAsync(all => all.Resync(room));
        // Leaving the loop removed the first three from the queue; the last was still being processed.
        Assert.Equal(["3"], await TakeAsync(client, 1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_null_or_incomplete_response_is_retried(bool json)
    {
        Post("0");
        foreach (var sends in new SendResult[]?[] { null, [null!], [], [new(null, null), new(null, null)], [new(null, null)] })
            hub.WrongSends.Enqueue(sends);
        foreach (var page in new LogPage?[] { null, new(room, null!, 1, 1), new(room, [null!], 1, 1) })
            hub.WrongPages.Enqueue(page);
        foreach (var heads in new RoomHead[]?[] { null, [null!] })
            hub.WrongHeads.Enqueue(heads);
        await using var client = await SignInAsync(Options with { UseJson = json });
        client.Connect();
        var receipt = await SendAsync(client, "1");
        Assert.Equal((2, 0), (receipt.Seq, client.PendingSends));
        Assert.Equal(["0", "1"], await TakeAsync(client, 2));
        Assert.Equal((0, 0, 0), (hub.WrongSends.Count, hub.WrongPages.Count, hub.WrongHeads.Count));
        await hub.ForAllAsync(all => all.Received(room, null!));
        await hub.ForAllAsync(all => all.Received(room, [null!]));
        await SendAsync(client, "2");
        Assert.Equal(["2"], await TakeAsync(client, 1));
    }

    [Fact]
    public async Task An_interrupted_batch_is_resumed_in_order()
    {
        var other = Guid.NewGuid();
        AddRoom(other);
        var dice = new Random(11);
        hub.LoseReply = () => dice.Next(10) == 0;
        hub.Refuse = _ => dice.Next(25) switch
        {
            0 => new ErrorBody(ErrorCode.Overloaded, "Full.", true, 3),
            1 => new ErrorBody(ErrorCode.Internal, "Failed.", true),
            _ => null,
        };
        await using var client = await SignInAsync();
        for (var i = 0; i < 400; i++)
            await client.EnqueueAsync(i % 3 == 0 ? other : room, Encoding.UTF8.GetBytes($"{i}"), cancellationToken: Soon);
        client.Connect();
        var texts = (await TakeAsync(client, 400)).ConvertAll(int.Parse);
        Assert.Equal(Enumerable.Range(0, 400).Where(i => i % 3 == 0), texts.Where(i => i % 3 == 0));
        Assert.Equal(Enumerable.Range(0, 400).Where(i => i % 3 != 0), texts.Where(i => i % 3 != 0));
        while (client.PendingSends > 0)
            await Task.Delay(20, Soon);
        Assert.Equal(400, hub.Room(room).Count + hub.Room(other).Count);
        Assert.InRange(hub.LargestBatch, 30, Limits.Default.BatchSends);
    }

    [Fact]
    public async Task A_batch_stays_under_the_byte_limit_and_a_rejected_one_is_sent_one_by_one()
    {
        hub.RefuseBatch = requests => requests.Length > 1 || requests[0].TimeToLiveSeconds is not null
            ? new ErrorBody(ErrorCode.Invalid, "No.", false) : null;
        await using var client = await SignInAsync();
        var sends = new List<Task<SendReceipt>>();
        for (var i = 0; i < 20; i++)
            sends.Add(client.SendAsync(room, new byte[20_000], i == 7 ? TimeSpan.FromMinutes(1) : null, Soon));
        client.Connect();
        await Assert.ThrowsAsync<SecureMessagingException>(() => sends[7]);
        sends.RemoveAt(7);
        Assert.Equal(Enumerable.Range(1, 19).Select(i => (long)i), (await Task.WhenAll(sends)).Select(receipt => receipt.Seq));
        Assert.InRange(hub.LargestBatchBytes, 100_000, Limits.Default.BatchBytes);
    }
}
