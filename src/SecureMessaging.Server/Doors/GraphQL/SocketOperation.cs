using System.Threading.Channels;
using GraphQL;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>One operation of a WebSocket, from <c>subscribe</c> to <c>complete</c>. The next event is produced only after the last one is written.</summary>
internal sealed class SocketOperation : IDisposable
{
    private readonly CancellationTokenSource stop;
    private readonly SemaphoreSlim written = new(0);
    private readonly List<IDisposable> owned = [];

    public SocketOperation(string id, SocketSubscriber subscriber, CancellationToken socketClosing)
    {
        (Id, Subscriber) = (id, subscriber);
        stop = CancellationTokenSource.CreateLinkedTokenSource(socketClosing);
        Stopping = stop.Token;
    }

    public string Id { get; }

    public SocketSubscriber Subscriber { get; }

    /// <summary>Cancelled when the client completes the operation or the connection ends. Readable after disposal.</summary>
    public CancellationToken Stopping { get; }

    /// <summary>The resource is disposed with the operation.</summary>
    public T Own<T>(T resource)
        where T : IDisposable
    {
        owned.Add(resource);
        return resource;
    }

    public IObservable<object> Stream<T>(IAsyncEnumerable<T> source)
        where T : class => new Paced<T>(source, this);

    public async IAsyncEnumerable<ExecutionResult> ReadAsync(IObservable<ExecutionResult> stream)
    {
        var results = Channel.CreateUnbounded<ExecutionResult>();
        using var subscription = stream.Subscribe(new Observer(results.Writer));
        await foreach (var result in results.Reader.ReadAllAsync(Stopping))
        {
            yield return result;
            written.Release();
        }
    }

    public void Stop()
    {
        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The operation has ended.
        }
    }

    public void Dispose()
    {
        Stop();
        owned.ForEach(resource => resource.Dispose());
        stop.Dispose();
        written.Dispose();
    }

    private sealed class Paced<T>(IAsyncEnumerable<T> source, SocketOperation operation) : IObservable<object>
        where T : class
    {
        public IDisposable Subscribe(IObserver<object> observer)
        {
            _ = RunAsync(observer);
            // The source ends with the operation.
            return new Nothing();
        }

        private async Task RunAsync(IObserver<object> observer)
        {
            try
            {
                await foreach (var item in source.WithCancellation(operation.Stopping))
                {
                    observer.OnNext(item);
                    await operation.written.WaitAsync(operation.Stopping);
                }

                observer.OnCompleted();
            }
            catch (OperationCanceledException) when (operation.Stopping.IsCancellationRequested)
            {
                // The operation has ended.
            }
            catch (Exception exception)
            {
                observer.OnError(exception);
            }
        }
    }

    private sealed class Nothing : IDisposable
    {
        public void Dispose()
        {
        }
    }

    private sealed class Observer(ChannelWriter<ExecutionResult> results) : IObserver<ExecutionResult>
    {
        public void OnNext(ExecutionResult value) => results.TryWrite(value);

        public void OnCompleted() => results.TryComplete();

        public void OnError(Exception error) => results.TryComplete(error);
    }
}
