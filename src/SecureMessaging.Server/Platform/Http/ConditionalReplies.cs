using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>Marks an endpoint whose responses carry an ETag.</summary>
internal sealed class ConditionalMetadata;

/// <summary>Conditional requests (RFC 9110 section 13): a request with the current ETag gets 304.</summary>
internal static class ConditionalReplies
{
    /// <summary>The ETag is the content's hash, so it is the same on every node and after restarts.</summary>
    public static RouteHandlerBuilder Conditional(this RouteHandlerBuilder endpoint) => endpoint
        .WithMetadata(new ConditionalMetadata())
        .AddEndpointFilter(async (context, next) =>
        {
            var result = await next(context);
            if (result is not (IValueHttpResult { Value: { } value } and IStatusCodeHttpResult { StatusCode: StatusCodes.Status200OK }))
                return result;
            // Personal content stays out of caches: a client that sends a tag stores the content itself.
            var isPublic = context.HttpContext.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null;
            var headers = context.HttpContext.Response.Headers;
            if (headers.CacheControl.Count == 0)
                headers.CacheControl = isPublic ? "no-cache" : "no-store";
            var json = context.HttpContext.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
            var content = JsonSerializer.SerializeToUtf8Bytes(value, value.GetType(), json);
            return TypedResults.Bytes(content, "application/json; charset=utf-8", entityTag: Tag(content));
        });

    public static EntityTagHeaderValue Tag(byte[] content) => new($"\"{Convert.ToBase64String(SHA256.HashData(content), 0, 16).TrimEnd('=')}\"");
}

/// <summary>Content that is constant while the server runs, with its ETag.</summary>
internal sealed class StaticReply(byte[] content, string type)
{
    private readonly EntityTagHeaderValue tag = ConditionalReplies.Tag(content);

    public FileContentHttpResult Serve() => TypedResults.Bytes(content, type, entityTag: tag);
}
