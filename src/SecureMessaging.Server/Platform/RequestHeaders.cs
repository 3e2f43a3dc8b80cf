using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace SecureMessaging.Server.Platform;

/// <summary>Headers whose grammar is more than the text that clients usually send (RFC 9110).</summary>
internal static class RequestHeaders
{
    private const string WebSocket = "websocket";

    /// <summary>
    /// Whether the request asks for a WebSocket (RFC 6455 section 4.2.1; RFC 8441 section 4 over HTTP/2). Other upgrades are offers that a server may pass over (RFC 9110
    /// section 7.8): <c>h2c</c> of curl and of Java's client among them. What the framework would upgrade counts too, although its reading is wider (a quoted
    /// <c>"websocket"</c>): otherwise such a request would get a socket without the checks of origins and connects.
    /// </summary>
    public static bool AsksForWebSocket(this HttpContext context) =>
        context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } || context.WebSockets.IsWebSocketRequest
        || (HttpMethods.IsGet(context.Request.Method) && context.Request.Headers.Upgrade is { Count: > 0 } offers && HasToken(offers, WebSocket));

    /// <summary>Whether a list of tokens has this one, in any case.</summary>
    public static bool HasToken(StringValues header, string token)
    {
        foreach (var line in header)
        {
            foreach (var range in line.AsSpan().Split(','))
            {
                if (line.AsSpan(range).Trim().Equals(token, StringComparison.OrdinalIgnoreCase))
                    return true;
            }
        }

        return false;
    }

    /// <summary>Whether the client has this representation already (RFC 9110 section 13.1.2, which compares weakly).</summary>
    public static bool Has(this HttpRequest request, EntityTagHeaderValue tag) =>
        request.Headers.IfNoneMatch.Count > 0 && EntityTagHeaderValue.TryParseList(request.Headers.IfNoneMatch, out var known)
        && known.Any(candidate => candidate.Equals(EntityTagHeaderValue.Any) || candidate.Compare(tag, useStrongComparison: false));

    /// <summary>Whether the body is text in UTF-8. Its name may be quoted, which the framework does not read, so it is written anew.</summary>
    public static bool IsUtf8(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.Charset.HasValue)
            return true;
        var charset = HeaderUtilities.RemoveQuotes(type.Charset);
        if (!charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) && !charset.Equals("utf8", StringComparison.OrdinalIgnoreCase))
            return false;
        type.Charset = "utf-8";
        request.ContentType = type.ToString();
        return true;
    }

    /// <summary>Whether the body travels as it is.</summary>
    public static bool IsPlain(HttpRequest request)
    {
        foreach (var coding in request.Headers.ContentEncoding)
        {
            foreach (var range in coding.AsSpan().Split(','))
            {
                if (coding.AsSpan(range).Trim() is { Length: > 0 } token && !token.Equals("identity", StringComparison.OrdinalIgnoreCase))
                    return false;
            }
        }

        return true;
    }
}
