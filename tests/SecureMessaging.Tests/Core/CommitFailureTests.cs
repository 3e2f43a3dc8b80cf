using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.RoomLog;

namespace SecureMessaging.Tests.Core;

/// <summary>What follows a commit fails for one sender of the batch.</summary>
public sealed class CommitFailureTests
{
    [Fact]
    public void A_failure_after_the_commit_keeps_no_other_connection_waiting()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var metrics = new ServerMetrics(services.GetRequiredService<IMeterFactory>());
        using var commit = new GroupCommit(
            new StoreAll(), new CommitFeed(), new FakeTimeProvider(), 8, 1000, _ => { }, metrics, NullLogger.Instance);
        var waiting = new Connection();
        Assert.True(commit.TryQueue(new SendGroup([Envelope()], 0, waiting)));
        Assert.True(commit.TryQueue(new SendGroup([Envelope()], 0, new Broken())));
        commit.Finish();
        commit.Run();
        Assert.True(waiting.IsWritten);
    }

    private static Envelope Envelope() => new(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), new byte[OwnerProof.Length], [1], 0, null);

    private sealed class StoreAll : IEnvelopeAppend
    {
        public AppendOutcome[] Append(IReadOnlyList<Envelope> batch, DateTime now) => [.. batch.Select(_ => new AppendOutcome { Seq = 1 })];

        public bool IsDefinite(Exception exception) => false;
    }

    private sealed class Connection : IBatchedOutput, IThreadPoolWorkItem
    {
        public bool IsWritten { get; private set; }

        public void Hold(WriteBatch writes) => writes.Hold(this);

        public void Execute() => IsWritten = true;
    }

    private sealed class Broken : IBatchedOutput
    {
        public void Hold(WriteBatch writes) => throw new InvalidOperationException("a defect");
    }
}
