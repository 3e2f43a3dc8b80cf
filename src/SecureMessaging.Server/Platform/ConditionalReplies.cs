using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace SecureMessaging.Server.Platform;

/// <summary>Marks an endpoint whose answers carry an ETag.</summary>
internal sealed class ConditionalMetadata;

/// <summary>Conditional requests (RFC 9110 section 13): who names the ETag of what it has gets 304 while that holds.</summary>
internal static class ConditionalReplies
{
    /// <summary>The ETag is the content's hash, so it holds on every node and across restarts.</summary>
    public static RouteHandlerBuilder Conditional(this RouteHandlerBuilder endpoint) => endpoint
        .WithMetadata(new ConditionalMetadata())
        .AddEndpointFilter(async (context, next) =>
        {
            var result = await next(context);
            if (result is not (IValueHttpResult { Value: { } value } and IStatusCodeHttpResult { StatusCode: StatusCodes.Status200OK }))
                return result;
            // What is somebody's stays out of caches: who names a tag has kept the content, where it keeps everything else.
            var (headers, open) = (context.HttpContext.Response.Headers, context.HttpContext.GetEndpoint()?.Metadata.GetMetadata<IAllowAnonymous>() is not null);
            if (headers.CacheControl.Count == 0)
                headers.CacheControl = open ? "no-cache" : "no-store";
            var json = context.HttpContext.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
            var content = JsonSerializer.SerializeToUtf8Bytes(value, value.GetType(), json);
            return TypedResults.Bytes(content, "application/json; charset=utf-8", entityTag: Tag(content));
        });

    public static EntityTagHeaderValue Tag(byte[] content) => new($"\"{Convert.ToBase64String(SHA256.HashData(content), 0, 16).TrimEnd('=')}\"");
}

/// <summary>Bytes that stay the same while the server runs, with their ETag.</summary>
internal sealed class StaticReply(byte[] content, string type)
{
    private readonly EntityTagHeaderValue tag = ConditionalReplies.Tag(content);

    public FileContentHttpResult Serve() => TypedResults.Bytes(content, type, entityTag: tag);
}
