using System.Collections.Frozen;
using System.Reflection;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>GraphiQL at <c>/graphql/ui</c>, from files that the build took in from npm; where Node was missing there is no page. Nothing comes from elsewhere.</summary>
internal static class Playground
{
    private const string Folder = "playground/";
    private const string Index = "index.html";

    // GraphiQL's editor sets styles of its own.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static void Map(IEndpointRouteBuilder app)
    {
        var files = Read();
        if (files.Count == 0 || !app.ServiceProvider.GetRequiredService<IOptions<GraphQLOptions>>().Value.Playground)
            return;
        app.MapGet($"{GraphQLFeature.Path}/ui/{{file?}}", (HttpContext context, string? file) =>
        {
            if (!files.TryGetValue(file ?? Index, out var content))
                throw ApiException.NotFound();
            var headers = context.Response.Headers;
            (headers.ContentSecurityPolicy, headers.XContentTypeOptions, headers["Referrer-Policy"], headers.CacheControl) = (Policy, "nosniff", "no-referrer", "no-cache");
            return TypedResults.Bytes(content, ContentType(file ?? Index));
        }).AllowAnonymous().WithTags("graphql").ExcludeFromDescription();
    }

    private static FrozenDictionary<string, byte[]> Read()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal))
            .ToFrozenDictionary(name => name[Folder.Length..], name => Read(assembly.GetManifestResourceStream(name)!), StringComparer.Ordinal);
    }

    private static byte[] Read(Stream stream)
    {
        using (stream)
        {
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            return content;
        }
    }

    private static string ContentType(string file) => System.IO.Path.GetExtension(file) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
}
