using GraphQL;
using GraphQL.Types;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Admin;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed class AdminFields(AdminOperations operations, SessionStore sessions, SecurityEvents events) : IRootFields
{
    private const int Cost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Required<StatsType>("stats", "Counts of accounts, sessions, rooms and entries. Requires the admin role of the server.").Costs(Cost)
            .ResolveAsync(async context =>
            {
                await context.RequireAdminAsync(sessions, events);
                return await operations.CountAsync(context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>(
            "disableUser", "Ends the account's sessions and blocks its sign-in. Requires the admin role of the server.").Costs(Cost)
            .Argument<NonNullGraphType<StringGraphType>>("username", "The account's username.")
            .ResolveDoneAsync(async context =>
            {
                await context.RequireAdminAsync(sessions, events);
                await operations.DisableAsync(context.Caller(), context.GetArgument<string>("username"), context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("enableUser", "Allows a disabled account to sign in again. Requires the admin role of the server.").Costs(Cost)
            .Argument<NonNullGraphType<StringGraphType>>("username", "The account's username.")
            .ResolveDoneAsync(async context =>
            {
                await context.RequireAdminAsync(sessions, events);
                await operations.EnableAsync(context.Caller(), context.GetArgument<string>("username"), context.CancellationToken);
            });
    }
}
