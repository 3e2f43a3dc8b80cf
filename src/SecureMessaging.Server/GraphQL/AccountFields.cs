using GraphQL;
using GraphQL.Types;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Rooms;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Accounts, sessions and what the server allows. Each field is what the REST endpoint of the same name does.</summary>
internal sealed class AccountFields(
    AccountRules rules, PasswordCheck check, PasswordHasher hasher, Database database, UserStore users, SessionStore sessions, AccessTokens tokens, MemberErasure erasure,
    Limits limits, RateLimits rates, LoginThrottle throttle, IOptions<AuthOptions> options, ILogger<UserStore> logger)
    : IRootFields
{
    /// <summary>A password hash takes milliseconds of a core and 19 MiB; aliases must not turn one request into many guesses.</summary>
    private const int HashCost = 5000;
    private const int WriteCost = 100;

    public void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription)
    {
        AddQueries(query);
        AddSignIn(mutation);
        AddOwn(mutation);
    }

    private void AddQueries(OutputType<object> query)
    {
        query.Required<LimitsType>("limits", "Every limit of the contract.").Open().Resolve(_ => limits);
        query.Required<ProfileType>("me", "The caller's account.")
            .ResolveAsync(async context => (await AccountEndpoints.GetProfileAsync(context.Caller(), users, context.CancellationToken)).Value);
        query.Optional<UserType>("user", "Another account by its exact username; null when there is none.")
            .Argument<NonNullGraphType<StringGraphType>>("username", "The username.")
            .ResolveAsync(async context =>
            {
                context.Caller();
                return await users.FindByUsernameAsync(context.GetArgument<string>("username"), context.CancellationToken);
            });
        query.Many<SessionType>("sessions", "The caller's sessions, those that go on first.", 10)
            .ResolveAsync(async context => (await AccountEndpoints.ListSessionsAsync(context.Caller(), sessions, context.CancellationToken)).Value);
    }

    private void AddSignIn(OutputType<object> mutation)
    {
        mutation.Required<TokensType>("signUp", "Makes an account and signs it in.").Open().Costs(HashCost)
            .Argument<NonNullGraphType<SignUpInput>>("input", "The account.")
            .ResolveAsync(async context =>
            {
                rates.SignUps.Spend(context.Request().Info.Address);
                return (await AuthEndpoints.SignUpAsync(context.GetArgument<SignUpRequest>("input"), context.Requester(), rules, hasher, throttle, database, users, sessions, tokens, context.CancellationToken)).Value;
            });
        mutation.Required<TokensType>("signIn", "Begins a session.").Open().Costs(HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("username", "Username or e-mail address.")
            .Argument<NonNullGraphType<StringGraphType>>("password", "The account's password.")
            .ResolveAsync(async context =>
            {
                rates.SignIns.Spend(context.Request().Info.Address);
                var request = new TokenRequest(context.GetArgument<string>("username"), context.GetArgument<string>("password"));
                return (await AuthEndpoints.SignInAsync(request, context.Requester(), rules, check, hasher, database, users, sessions, tokens, context.CancellationToken)).Value;
            });
        mutation.Required<TokensType>("refresh", "Continues a session.").Open().Costs(WriteCost)
            .Argument<NonNullGraphType<StringGraphType>>("refreshToken", "The newest refresh token of the session.")
            .ResolveAsync(async context =>
            {
                rates.Renewals.Spend(context.Request().Info.Address);
                var request = new RefreshRequest(context.GetArgument<string>("refreshToken"));
                return (await AuthEndpoints.RefreshAsync(request, context.Requester(), users, sessions, tokens, throttle, context.CancellationToken)).Value;
            });
        mutation.Required<TicketType>("issueTicket", "A ticket that stands in for the token when a socket is opened.").Costs(WriteCost)
            .ResolveAsync(async context =>
            {
                rates.Renewals.Spend(context.Caller().UserId);
                return (await AuthEndpoints.IssueTicketAsync(context.Caller(), sessions, options, context.CancellationToken)).Value;
            });
        mutation.Required<BooleanGraphType>("logOut", "Ends this session.").Costs(WriteCost)
            .ResolveAsync(async context => await sessions.EndAsync(context.Caller().UserId, context.Caller().SessionId, context.CancellationToken));
        mutation.Required<BooleanGraphType>("logOutEverywhere", "Ends all sessions of the caller.").Costs(WriteCost)
            .ResolveAsync(async context =>
            {
                await sessions.EndAllAsync(context.Caller().UserId, context.CancellationToken);
                return true;
            });
    }

    private void AddOwn(OutputType<object> mutation)
    {
        mutation.Required<ProfileType>("updateProfile", "Changes the caller's account.").Costs(HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("email", "The new address.")
            .Argument<NonNullGraphType<StringGraphType>>("password", "The password in force.")
            .ResolveAsync(async context =>
            {
                var request = new UpdateProfileRequest(context.GetArgument<string>("email"), context.GetArgument<string>("password"));
                return (await AccountEndpoints.UpdateProfileAsync(request, context.Caller(), context.Requester(), rules, check, rates, database, users, context.CancellationToken)).Value;
            });
        mutation.Required<BooleanGraphType>("changePassword", "Ends every other session of the account, too.").Costs(2 * HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("currentPassword", "The password in force.")
            .Argument<NonNullGraphType<StringGraphType>>("newPassword", "The one to take its place.")
            .ResolveAsync(async context =>
            {
                var request = new ChangePasswordRequest(context.GetArgument<string>("currentPassword"), context.GetArgument<string>("newPassword"));
                await AccountEndpoints.ChangePasswordAsync(request, context.Caller(), context.Requester(), rules, check, hasher, database, users, sessions, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("deleteAccount", "Erases the account and everything the server can attribute to it.").Costs(HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("password", "The password in force.")
            .ResolveAsync(async context =>
            {
                var request = new DeleteAccountRequest(context.GetArgument<string>("password"));
                await AccountEndpoints.DeleteAsync(request, context.Caller(), context.Requester(), rules, check, database, users, sessions, erasure, logger, context.CancellationToken);
                return true;
            });
        mutation.Required<BooleanGraphType>("endSession", "Ends one of the caller's sessions and closes its sockets.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("id", "The session.")
            .ResolveAsync(async context => await sessions.EndAsync(context.Caller().UserId, context.Id("id"), context.CancellationToken) ? true : throw ApiException.NotFound());
    }
}
