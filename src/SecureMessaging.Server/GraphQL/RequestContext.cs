using GraphQL;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Who asks, by which door, and what the request's fields load together.</summary>
/// <param name="Caller">Null: nobody has signed in.</param>
/// <param name="Address">Where from, as limits count it.</param>
/// <param name="Live">The operation on a socket that this is; null over HTTP, where nothing is pushed.</param>
internal sealed record GraphQLRequestInfo(Caller? Caller, Guid Address, SocketOperation? Live = null);

/// <summary>graphql-dotnet hands resolvers a dictionary; this is ours.</summary>
internal sealed class RequestContext(GraphQLRequestInfo info) : Dictionary<string, object?>(StringComparer.Ordinal)
{
    private readonly Lock gate = new();
    private readonly Dictionary<object, object> batches = [];

    public GraphQLRequestInfo Info { get; } = info;

    /// <summary>The batch of that name, made by whoever asks first.</summary>
    public Batch<TKey, TValue> Batch<TKey, TValue>(object name, Func<IReadOnlyCollection<TKey>, CancellationToken, Task<Dictionary<TKey, TValue>>> load)
        where TKey : notnull
    {
        lock (gate)
        {
            if (batches.TryGetValue(name, out var known))
                return (Batch<TKey, TValue>)known;
            var batch = new Batch<TKey, TValue>(load);
            batches.Add(name, batch);
            return batch;
        }
    }
}

/// <summary>What resolvers ask of their context.</summary>
internal static class ResolverCalls
{
    public static RequestContext Request(this IResolveFieldContext context) => (RequestContext)context.UserContext;

    public static Caller Caller(this IResolveFieldContext context) =>
        context.Request().Info.Caller ?? throw ApiException.Unauthenticated();

    /// <summary>The operation on a socket that a subscription is.</summary>
    public static SocketOperation Operation(this IResolveFieldContext context) =>
        context.Request().Info.Live ?? throw ApiException.Invalid("Subscribe by WebSocket, with the subprotocol graphql-transport-ws.");

    public static Requester Requester(this IResolveFieldContext context) => new(context.Request().Info.Address, context.Request().Info.Caller);

    /// <summary>Asked when it is used: a socket may have been opened before the role was taken.</summary>
    public static async Task RequireAdminAsync(this IResolveFieldContext context, SessionStore sessions, SecurityEvents events)
    {
        if (await sessions.FindLiveAsync(context.Caller().SessionId, context.CancellationToken) is { IsAdmin: true })
            return;
        events.Count(SecurityCause.AdministrationRefused);
        throw ApiException.Forbidden();
    }

    public static Guid Id(this IResolveFieldContext context, string argument) => Given.Id(argument, context.GetArgument<object>(argument));
}
