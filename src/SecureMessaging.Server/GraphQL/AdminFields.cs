using GraphQL;
using GraphQL.Types;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Admin;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

/// <summary>For administrators of the server.</summary>
internal sealed class AdminFields(
    Database database, UserStore users, SessionStore sessions, RoomStore rooms, SecurityEvents events, IOptions<ServerOptions> options, ILogger<UserStore> logger) : IRootFields
{
    private const int Cost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        query.Required<StatsType>("stats", "For administrators: counts.").Costs(Cost)
            .ResolveAsync(async context =>
            {
                await context.RequireAdminAsync(sessions, events);
                return (await AdminEndpoints.CountAsync(users, sessions, rooms, options, context.CancellationToken)).Value;
            });
        mutation.Required<BooleanGraphType>("disableUser", "For administrators: ends the account's sessions and shuts it out.").Costs(Cost)
            .Argument<NonNullGraphType<StringGraphType>>("username", "The account.")
            .ResolveAsync(async context =>
            {
                await context.RequireAdminAsync(sessions, events);
                await AdminEndpoints.DisableAsync(context.GetArgument<string>("username"), context.Caller(), database, users, sessions, logger, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("enableUser", "For administrators: lets the account in again.").Costs(Cost)
            .Argument<NonNullGraphType<StringGraphType>>("username", "The account.")
            .ResolveAsync(async context =>
            {
                await context.RequireAdminAsync(sessions, events);
                await AdminEndpoints.EnableAsync(context.GetArgument<string>("username"), context.Caller(), database, users, logger, context.CancellationToken);
                return true;
            });
    }
}
