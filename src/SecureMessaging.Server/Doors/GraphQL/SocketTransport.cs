using System.Text.Json;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Delivery;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>The caller of a WebSocket, and the expiry of its credentials.</summary>
internal sealed record SocketOwner(GraphQLRequestInfo Info, DateTimeOffset? Until);

/// <summary>
/// Opens WebSockets of the subprotocol graphql-transport-ws. The origin is checked before the upgrade, as for the hub. A client authenticates with
/// <c>Authorization</c> in the upgrade, or with <c>accessToken</c> or <c>ticket</c> in the payload of <c>connection_init</c>.
/// </summary>
internal sealed class SocketTransport(
    GraphQLSocketServices services, DrainingLifetime lifetime, SeenDevices seen, RateLimits rates, IServiceScopeFactory scopes)
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
        using var socket = new GraphQLSocket(webSocket, services, context.RequestAborted);
        if (spoken)
            await socket.RunAsync(payload => AuthenticateAsync(payload, signedIn, ClientAddress.Of(context)));
        else
            await socket.RefuseAsync(SocketClose.SubprotocolNotAcceptable, "Subprotocol not acceptable");
    }

    /// <summary>Uses the handlers of HTTP on a new request, because a handler caches its first result for a request.</summary>
    private async Task<SocketOwner?> AuthenticateAsync(JsonElement? payload, AuthenticateResult signedIn, Guid address)
    {
        var (token, ticket) = (
            Text(payload, "accessToken") ?? Bearer(Text(payload, "Authorization") ?? Text(payload, "authorization")), Text(payload, "ticket"));
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
            // A caller that authenticates in the upgrade was counted there.
            rates.Connects.Spend(Caller.From(result.Principal).UserId);
            await seen.NoteAsync(request);
        }

        return Owner(result, address);
    }

    private static SocketOwner? Owner(AuthenticateResult result, Guid address) =>
        result is { Succeeded: true, Principal: var principal, Properties: var properties }
        ? new SocketOwner(new GraphQLRequestInfo(Caller.From(principal), address), properties?.ExpiresUtc)
        : null;

    private static string? Text(JsonElement? payload, string name) =>
        payload is { ValueKind: JsonValueKind.Object } given && given.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String
            ? member.GetString()
            : null;

    private static string? Bearer(string? header) =>
        header is not null && header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header["Bearer ".Length..].Trim() : null;
}
