using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// GraphiQL at <c>/graphql/ui</c>, from npm files that the build embeds. A build without Node has no such page. The page loads nothing from other hosts.
/// </summary>
internal sealed class Playground(IOptions<GraphQLOptions> options, ApiAddress api) : IManagementPage
{
    private const string Root = $"{GraphQLFeature.Path}/ui";
    private const string Folder = "playground/";
    private const string Index = "index.html";

    private const string AddressMark = "data-api=\"\"";

    private static readonly Dictionary<string, byte[]> Files = EmbeddedFile.ReadFolder(Folder);

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
            // GraphiQL's editor writes inline styles.
            headers.ContentSecurityPolicy =
                "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
                + $"connect-src {address} {Socket(address)}; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
            return TypedResults.Content(index.Replace(AddressMark, $"data-api=\"{address}\"", StringComparison.Ordinal), "text/html; charset=utf-8");
        });
    }

    private static string Socket(string address) => $"ws{address["http".Length..]}";

    private static string ContentType(string file) => System.IO.Path.GetExtension(file) switch
    {
        ".css" => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
}
