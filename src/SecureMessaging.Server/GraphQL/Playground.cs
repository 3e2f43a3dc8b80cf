using System.Collections.Frozen;
using System.Reflection;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>GraphiQL at <c>/graphql/ui</c>, from files that the build took in from npm; where Node was missing there is no page. Nothing comes from elsewhere.</summary>
internal sealed class Playground(IOptions<GraphQLOptions> options, ApiAddress api) : IManagementPage
{
    private const string Root = $"{GraphQLFeature.Path}/ui";
    private const string Folder = "playground/";
    private const string Index = "index.html";

    /// <summary>What stands in the page where the address of the API goes.</summary>
    private const string AddressMark = "data-api=\"\"";

    private static readonly FrozenDictionary<string, byte[]> Files = Read();

    public string? Path => Files.Count > 0 && options.Value.Playground ? Root : null;

    public void Map(IEndpointRouteBuilder app)
    {
        var index = System.Text.Encoding.UTF8.GetString(Files[Index]);
        app.MapGet($"{Root}/{{file?}}", Results<ContentHttpResult, FileContentHttpResult, NotFound> (HttpContext context, string? file) =>
        {
            var headers = context.Response.Headers;
            (headers["Referrer-Policy"], headers.CacheControl) = ("no-referrer", "no-cache");
            if (file is not null and not Index)
                return Files.TryGetValue(file, out var content) ? TypedResults.Bytes(content, ContentType(file)) : TypedResults.NotFound();
            var address = api.For(context.Request);
            // GraphiQL's editor sets styles of its own.
            headers.ContentSecurityPolicy =
                $"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src {address} {Socket(address)}; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
            return TypedResults.Content(index.Replace(AddressMark, $"data-api=\"{address}\"", StringComparison.Ordinal), "text/html; charset=utf-8");
        });
    }

    private static string Socket(string address) => $"ws{address["http".Length..]}";

    private static FrozenDictionary<string, byte[]> Read()
    {
        var assembly = Assembly.GetExecutingAssembly();
        return assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal))
            .ToFrozenDictionary(name => name[Folder.Length..], EmbeddedFile.Read, StringComparer.Ordinal);
    }

    private static string ContentType(string file) => System.IO.Path.GetExtension(file) switch
    {
        ".css" => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
}
