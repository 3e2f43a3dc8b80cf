using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Privacy;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Accounts, sessions and limits. Each field calls the same operation as the REST endpoint of that name.</summary>
internal sealed class AccountFields(
    AuthOperations auth, SessionOperations sessions, AccountOperations accounts, AccountErasure erasure, PrivacyOperations privacy, Limits limits,
    RateLimits rates) : IRootFields
{
    /// <summary>A password hash takes milliseconds of a core and 19 MiB. With this cost, aliases cannot turn one request into many guesses.</summary>
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
        query.Required<LimitsType>("limits", "Every limit of the contract on this server.").Open().Resolve(_ => limits);
        query.Required<ProfileType>("me", "The caller's account.")
            .ResolveAsync(async context => await accounts.GetProfileAsync(context.Caller(), context.CancellationToken));
        query.Required<PrivacySettingsType>("privacy", "What the server stores about the caller only while the caller wants it.")
            .ResolveAsync(async context => await privacy.GetAsync(context.Caller(), context.CancellationToken));
        query.Optional<UserType>("user", "Another account by its exact username. Null: there is none.")
            .Argument<NonNullGraphType<StringGraphType>>("username", "The username.")
            .ResolveAsync(async context =>
            {
                context.Caller();
                return await accounts.FindAsync(context.GetArgument<string>("username"), context.CancellationToken);
            });
        query.Many<SessionType>("sessions", "The caller's sessions, active ones first.", 10)
            .ResolveAsync(async context => await sessions.ListAsync(context.Caller(), context.CancellationToken));
    }

    private void AddSignIn(OutputType<object> mutation)
    {
        mutation.Required<TokensType>("signUp", "Creates an account and signs it in.").Open().Costs(HashCost)
            .Argument<NonNullGraphType<SignUpInput>>("input", "The account.")
            .ResolveAsync(async context =>
            {
                rates.SignUps.Spend(context.Request().Info.Address);
                return await auth.SignUpAsync(context.Requester(), context.GetArgument<SignUpRequest>("input"), context.CancellationToken);
            });
        mutation.Required<TokensType>("signIn", "Signs in and starts a session.").Open().Costs(HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("username", "Username or e-mail address.")
            .Argument<NonNullGraphType<StringGraphType>>("password", "The account's password.")
            .ResolveAsync(async context =>
            {
                rates.SignIns.Spend(context.Request().Info.Address);
                var request = new TokenRequest(context.GetArgument<string>("username"), context.GetArgument<string>("password"));
                return await auth.SignInAsync(context.Requester(), request, context.CancellationToken);
            });
        mutation.Required<TokensType>("refresh", "Exchanges a refresh token for new tokens.").Open().Costs(WriteCost)
            .Argument<NonNullGraphType<StringGraphType>>("refreshToken", "The newest refresh token of the session.")
            .ResolveAsync(async context =>
            {
                rates.Renewals.Spend(context.Request().Info.Address);
                var request = new RefreshRequest(context.GetArgument<string>("refreshToken"));
                return await auth.RefreshAsync(context.Requester(), request, context.CancellationToken);
            });
        mutation.Required<TicketType>("issueTicket", "Issues a ticket that replaces the access token when a WebSocket is opened.").Costs(WriteCost)
            .ResolveAsync(async context =>
            {
                rates.Renewals.Spend(context.Caller().UserId);
                return await sessions.IssueTicketAsync(context.Caller(), context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("logOut", "Ends this session.").Costs(WriteCost)
            .ResolveAsync(async context => await sessions.LogOutAsync(context.Caller(), context.CancellationToken));
        mutation.Required<BooleanGraphType>("logOutEverywhere", "Ends all of the caller's sessions, including this one.").Costs(WriteCost)
            .ResolveDoneAsync(context => sessions.LogOutEverywhereAsync(context.Caller(), context.CancellationToken));
    }

    private void AddOwn(OutputType<object> mutation)
    {
        mutation.Required<ProfileType>("updateProfile", "Changes the caller's e-mail address.").Costs(HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("email", "The new address.")
            .Argument<NonNullGraphType<StringGraphType>>("password", "The current password.")
            .ResolveAsync(async context =>
            {
                var request = new UpdateProfileRequest(context.GetArgument<string>("email"), context.GetArgument<string>("password"));
                return await accounts.UpdateProfileAsync(context.Requester(), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>("changePassword", "Changes the password and ends every other session of the account.").Costs(2 * HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("currentPassword", "The current password.")
            .Argument<NonNullGraphType<StringGraphType>>("newPassword", "The new password.")
            .ResolveDoneAsync(context =>
            {
                var request = new ChangePasswordRequest(context.GetArgument<string>("currentPassword"), context.GetArgument<string>("newPassword"));
                return accounts.ChangePasswordAsync(context.Requester(), request, context.CancellationToken);
            });
        mutation.Required<BooleanGraphType>(
            "changePrivacy", "Sets what the server may store about the caller. Turning the delivery cursor off also deletes the stored cursors.")
            .Costs(WriteCost)
            .Argument<NonNullGraphType<BooleanGraphType>>("deliveryCursor", "Whether the server stores how far the caller has received each room.")
            .ResolveDoneAsync(context => privacy.ChangeAsync(
                context.Caller(), new PrivacySettings(context.GetArgument<bool>("deliveryCursor")), context.CancellationToken));
        mutation.Required<BooleanGraphType>("deleteAccount", "Deletes the account and everything the server can attribute to it.").Costs(HashCost)
            .Argument<NonNullGraphType<StringGraphType>>("password", "The current password.")
            .ResolveDoneAsync(context => erasure.EraseAsync(
                context.Requester(), new DeleteAccountRequest(context.GetArgument<string>("password")), context.CancellationToken));
        mutation.Required<BooleanGraphType>("labelSession", "Names one of the caller's live sessions, for its owner.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("id", "The session.")
            .Argument<Base64Type>("label", "Opaque to the server. Encrypt it. Null clears.")
            .ResolveDoneAsync(context => sessions.LabelAsync(
                context.Caller(), context.Id("id"), new LabelSessionRequest(context.GetArgument<byte[]?>("label")), context.CancellationToken));
        mutation.Required<BooleanGraphType>("endSession", "Ends one of the caller's sessions and closes its connections.").Costs(WriteCost)
            .Argument<NonNullGraphType<IdGraphType>>("id", "The session.")
            .ResolveDoneAsync(context => sessions.EndAsync(context.Caller(), context.Id("id"), context.CancellationToken));
    }
}
