using System.Threading.Channels;
using GraphQL;

namespace SecureMessaging.Server.GraphQL;

/// <summary>One operation on a socket, from <c>subscribe</c> to <c>complete</c>. Its events are paced: the next is made when the last one is written.</summary>
internal sealed class SocketOperation : IDisposable
{
    private readonly CancellationTokenSource stop;
    private readonly SemaphoreSlim written = new(0);
    private readonly List<IDisposable> owned = [];

    public SocketOperation(string id, SocketChatConnection chat, CancellationToken socketClosing)
    {
        (Id, Chat) = (id, chat);
        stop = CancellationTokenSource.CreateLinkedTokenSource(socketClosing);
        Stopping = stop.Token;
    }

    public string Id { get; }

    public SocketChatConnection Chat { get; }

    /// <summary>The client has completed the operation, or the socket closes. May be asked after the end, too.</summary>
    public CancellationToken Stopping { get; }

    /// <summary>Ends with the operation.</summary>
    public T Own<T>(T resource)
        where T : IDisposable
    {
        owned.Add(resource);
        return resource;
    }

    public IObservable<object> Stream<T>(IAsyncEnumerable<T> source)
        where T : class => new Paced<T>(source, this);

    /// <summary>The results of the events, as the executer makes them.</summary>
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
            // It has just ended by itself.
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
            // It ends with the operation, and not before.
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
                // Nobody listens any more.
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
