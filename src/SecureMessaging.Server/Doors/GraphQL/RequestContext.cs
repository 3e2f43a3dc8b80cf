using GraphQL;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>The caller of a request and its transport.</summary>
/// <param name="Caller">Null: not signed in.</param>
/// <param name="Address">The client's address, as limits count it.</param>
/// <param name="Live">The operation of the WebSocket. Null over HTTP, which has no subscriptions.</param>
internal sealed record GraphQLRequestInfo(Caller? Caller, Guid Address, SocketOperation? Live = null);

/// <summary>The context of a request. graphql-dotnet requires a dictionary.</summary>
internal sealed class RequestContext(GraphQLRequestInfo info) : Dictionary<string, object?>(StringComparer.Ordinal)
{
    private readonly Lock gate = new();
    private readonly Dictionary<object, object> batches = [];

    public GraphQLRequestInfo Info { get; } = info;

    public BatchLoader<TKey, TValue> BatchLoader<TKey, TValue>(
        object name, Func<IReadOnlyCollection<TKey>, CancellationToken, Task<Dictionary<TKey, TValue>>> load)
        where TKey : notnull
    {
        lock (gate)
        {
            if (batches.TryGetValue(name, out var known))
                return (BatchLoader<TKey, TValue>)known;
            var batch = new BatchLoader<TKey, TValue>(load);
            batches.Add(name, batch);
            return batch;
        }
    }
}

internal static class ResolverCalls
{
    public static RequestContext Request(this IResolveFieldContext context) => (RequestContext)context.UserContext;

    public static Caller Caller(this IResolveFieldContext context) =>
        context.Request().Info.Caller ?? throw ApiException.Unauthenticated();

    public static SocketOperation Operation(this IResolveFieldContext context) =>
        context.Request().Info.Live ?? throw ApiException.Invalid("Subscribe by WebSocket, with the subprotocol graphql-transport-ws.");

    public static Requester Requester(this IResolveFieldContext context) => new(context.Request().Info.Address, context.Request().Info.Caller);

    /// <summary>Checked at each use: a WebSocket may be older than the loss of the role.</summary>
    public static async Task RequireAdminAsync(this IResolveFieldContext context, SessionStore sessions, SecurityEvents events)
    {
        if (await sessions.FindLiveAsync(context.Caller().SessionId, context.CancellationToken) is { IsAdmin: true })
            return;
        events.Count(SecurityCause.AdministrationRefused);
        throw ApiException.Forbidden();
    }

    public static Guid Id(this IResolveFieldContext context, string argument) => Given.Id(argument, context.GetArgument<object>(argument));
}
