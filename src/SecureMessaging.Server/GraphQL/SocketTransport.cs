using System.Text.Json;
using GraphQL.SystemTextJson;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Auth;
using SecureMessaging.Server.Chat;
using SecureMessaging.Server.Devices;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Who a socket belongs to, and until when that is proven.</summary>
internal sealed record SocketOwner(GraphQLRequestInfo Info, DateTimeOffset? Until);

/// <summary>
/// Opens sockets of the subprotocol graphql-transport-ws. Origins are checked before the upgrade, as for the hub; who connects proves itself by the
/// <c>Authorization</c> of the upgrade, or by <c>accessToken</c> or <c>ticket</c> in the payload of <c>connection_init</c>.
/// </summary>
internal sealed class SocketTransport(
    Executor executor, RequestReader reader, GraphQLSerializer serializer, ChatEntrance entrance, ServerMetrics metrics, DrainingLifetime lifetime, TimeProvider time,
    IOptions<GraphQLOptions> options, SeenDevices seen, RateLimits rates, IServiceScopeFactory scopes, ILogger<Socket> logger)
{
    public const string Subprotocol = "graphql-transport-ws";

    public async Task HandleAsync(HttpContext context)
    {
        if (lifetime.IsDraining)
            throw new ApiException(ErrorCode.Overloaded, "This node is stopping.") { RetryAfterMs = 1000 };
        var signedIn = await context.AuthenticateAsync();
        if (!signedIn.Succeeded && context.Request.Headers.Authorization.Count > 0)
            throw ApiException.Unauthenticated();
        var spoken = context.WebSockets.WebSocketRequestedProtocols.Contains(Subprotocol, StringComparer.Ordinal);
        using var webSocket = await context.WebSockets.AcceptWebSocketAsync(spoken ? Subprotocol : null);
        using var socket = new Socket(webSocket, executor, reader, serializer, entrance, metrics, time, options.Value, logger, context.RequestAborted);
        if (spoken)
            await socket.RunAsync(payload => AuthenticateAsync(payload, signedIn, ClientAddress.Of(context)));
        else
            await socket.RefuseAsync(SocketClose.SubprotocolNotAcceptable, "Subprotocol not acceptable");
    }

    /// <summary>By the same handlers that serve HTTP, on a request of their own, because a handler keeps its first answer for a request.</summary>
    private async Task<SocketOwner?> AuthenticateAsync(JsonElement? payload, AuthenticateResult signedIn, Guid address)
    {
        var (token, ticket) = (Text(payload, "accessToken") ?? Bearer(Text(payload, "Authorization") ?? Text(payload, "authorization")), Text(payload, "ticket"));
        if (token is null && ticket is null)
            return Owner(signedIn, address);
        using var scope = scopes.CreateScope();
        var request = new DefaultHttpContext { RequestServices = scope.ServiceProvider };
        if (token is not null)
            request.Request.Headers.Authorization = $"Bearer {token}";
        else
            request.Request.QueryString = QueryString.Create(Wire.TicketParameter, ticket!);
        var result = await request.AuthenticateAsync(token is not null ? JwtBearerDefaults.AuthenticationScheme : TicketHandler.SchemeName);
        if (result.Succeeded)
        {
            request.User = result.Principal;
            // Who signs in at the upgrade was counted there.
            rates.Connects.Spend(Caller.From(result.Principal).UserId);
            await seen.NoteAsync(request);
        }

        return Owner(result, address);
    }

    private static SocketOwner? Owner(AuthenticateResult result, Guid address) => result is { Succeeded: true, Principal: var principal, Properties: var properties }
        ? new SocketOwner(new GraphQLRequestInfo(Caller.From(principal), address), properties?.ExpiresUtc)
        : null;

    private static string? Text(JsonElement? payload, string name) =>
        payload is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;

    private static string? Bearer(string? header) =>
        header is not null && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header["Bearer ".Length..].Trim() : null;
}
