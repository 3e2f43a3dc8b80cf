using System.Collections.Concurrent;

namespace SecureMessaging.Load;

/// <summary>
/// Runs the program's own flow on one thread. Without it, what follows an await would go on on the socket thread, whose completions are inline, and keep the
/// clients waiting.
/// </summary>
internal sealed class MainThread : SynchronizationContext
{
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> queue = [];

    public static int Run(Func<Task<int>> program)
    {
        var context = new MainThread();
        SetSynchronizationContext(context);
        var task = program();
        _ = task.ContinueWith(_ => context.queue.CompleteAdding(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        foreach (var (callback, state) in context.queue.GetConsumingEnumerable())
            callback(state);
        return task.GetAwaiter().GetResult();
    }

    public override void Post(SendOrPostCallback d, object? state) => queue.Add((d, state));
}
