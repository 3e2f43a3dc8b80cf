using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>Reads headers by their full grammar (RFC 9110), not only in the form that clients usually send.</summary>
internal static class RequestHeaders
{
    private const string WebSocket = "websocket";

    /// <summary>
    /// Whether the request asks for a WebSocket (RFC 6455 section 4.2.1; RFC 8441 section 4 over HTTP/2). A server may ignore other upgrades (RFC
    /// 9110 section 7.8), such as <c>h2c</c> of curl and Java's client. The framework also accepts more than the RFC (a quoted <c>"websocket"</c>);
    /// such requests count too, so that none gets a WebSocket without the checks of origin and connects.
    /// </summary>
    public static bool AsksForWebSocket(this HttpContext context) =>
        context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } || context.WebSockets.IsWebSocketRequest
        || (HttpMethods.IsGet(context.Request.Method) && context.Request.Headers.Upgrade is { Count: > 0 } offers && HasToken(offers, WebSocket));

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

    /// <summary>Whether the client already has this representation (RFC 9110 section 13.1.2, weak comparison).</summary>
    public static bool Has(this HttpRequest request, EntityTagHeaderValue tag) =>
        request.Headers.IfNoneMatch.Count > 0 && EntityTagHeaderValue.TryParseList(request.Headers.IfNoneMatch, out var known)
        && known.Any(candidate => candidate.Equals(EntityTagHeaderValue.Any) || candidate.Compare(tag, useStrongComparison: false));

    /// <summary>Whether the body is UTF-8. A quoted charset name, which the framework cannot read, is replaced by the plain one.</summary>
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
