using GraphQL.Types;

namespace SecureMessaging.Server.GraphQL;

/// <summary>The schema: what each area adds to the three roots.</summary>
internal sealed class MessagingSchema : Schema
{
    public MessagingSchema(IServiceProvider services, IEnumerable<IRootFields> areas)
        : base(services)
    {
        Description = "SecureMessaging: end-to-end-encrypted envelopes in rooms. The same stores, rules and error codes as hub and REST.";
        var query = new OutputType<object>("Query", "What the caller may read.");
        var mutation = new OutputType<object>("Mutation", "What the caller may change. Fields are carried out one after the other, each on its own.");
        var subscription = new OutputType<object>("Subscription", "Live queries: what was missed first, then what happens, without gap or duplicate.");
        foreach (var area in areas)
            area.AddTo(query, mutation, subscription);
        (Query, Mutation, Subscription) = (query, mutation, subscription);
    }
}
