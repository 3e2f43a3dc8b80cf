using GraphQL.Types;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class MessagingSchema : Schema
{
    public MessagingSchema(IServiceProvider services, IEnumerable<IRootFields> areas)
        : base(services)
    {
        Description = "SecureMessaging: end-to-end-encrypted envelopes in rooms. The same operations, rules and error codes as the hub and REST.";
        var query = new OutputType<object>("Query", "Reads.");
        var mutation = new OutputType<object>("Mutation", "Changes. The fields run one after the other, each on its own.");
        var subscription = new OutputType<object>("Subscription", "Live data: first the missed events, then the new ones, without gap or duplicate.");
        foreach (var area in areas)
            area.AddTo(query, mutation, subscription);
        (Query, Mutation, Subscription) = (query, mutation, subscription);
    }
}
