using GraphQL;
using GraphQL.Validation;
using GraphQLParser.AST;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Default deny: a root field that is not open needs a sign-in.</summary>
internal sealed class SignInRule : ValidationRuleBase
{
    private static readonly ErrorBody Unauthenticated = ApiException.Unauthenticated().ToBody();

    private readonly MatchingNodeVisitor<GraphQLField> visitor = new((field, context) =>
    {
        var parent = context.TypeInfo.GetParentType()?.GetNamedType();
        var isRoot = parent is not null && (parent == context.Schema.Query || parent == context.Schema.Mutation || parent == context.Schema.Subscription);
        if (isRoot && context.TypeInfo.GetFieldDef() is { } known && !known.Name.StartsWith("__", StringComparison.Ordinal) && !known.IsOpen()
            && ((RequestContext)context.UserContext).Info.Caller is null)
            context.ReportError(new Refusal(context, Unauthenticated, field));
    });

    public override ValueTask<INodeVisitor?> GetPreNodeVisitorAsync(ValidationContext context) => new(visitor);
}

/// <summary>Introspection is allowed in development, and for signed-in callers if the operator enables it.</summary>
internal sealed class IntrospectionRule(IHostEnvironment environment, IOptions<GraphQLOptions> options) : ValidationRuleBase
{
    private static readonly ErrorBody Closed = new(
        ErrorCode.Forbidden, "Introspection is disabled. Read the schema at /graphql/schema.graphql.", Retryable: false);

    private readonly MatchingNodeVisitor<GraphQLField> visitor = new((field, context) =>
    {
        if (field.Name.Value == "__schema" || field.Name.Value == "__type")
            context.ReportError(new Refusal(context, Closed, field));
    });

    public bool Allows(GraphQLRequestInfo info) => environment.IsDevelopment() || (options.Value.IntrospectionForUsers && info.Caller is not null);

    public override ValueTask<INodeVisitor?> GetPreNodeVisitorAsync(ValidationContext context) =>
        new(Allows(((RequestContext)context.UserContext).Info) ? null : visitor);
}
