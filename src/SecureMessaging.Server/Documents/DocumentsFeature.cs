using System.Text;
using SecureMessaging.Server.GraphQL;
using SecureMessaging.Server.OpenApi;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Documents;

/// <summary>What the server says about itself without being asked by anybody in particular: the data inventory, and the documents that clients are built by.</summary>
internal static class DocumentsFeature
{
    private static readonly (string Path, string Resource, string Type, string Title)[] Documents =
    [
        ("/llms.txt", "llms.txt", "text/markdown; charset=utf-8", "How to build a client, on one page, for coding assistants and people"),
        ("/.well-known/data-inventory", "inventory.json", "application/json", "Data inventory: every column, log property and metric label"),
        ("/docs/database.md", "database.md", "text/markdown; charset=utf-8", "Database: ER diagram (Mermaid) and data dictionary"),
        ("/docs/wire.schema.json", "wire.schema.json", "application/schema+json", "JSON Schema of every record on the wire"),
    ];

    /// <summary>Made by other features.</summary>
    private static readonly (string Path, string Title)[] Others =
    [
        (OpenApiFeature.Path, "OpenAPI 3.1 of the REST API"),
        (SchemaDocument.Path, "GraphQL schema (SDL)"),
    ];

    public static void MapDocuments(this IEndpointRouteBuilder app)
    {
        foreach (var (path, resource, type, _) in Documents)
            Map(app, path, new StaticReply(EmbeddedFile.Read(resource), type));
        Map(app, "/docs", new StaticReply(Encoding.UTF8.GetBytes(Index()), "text/html; charset=utf-8"));
    }

    private static void Map(IEndpointRouteBuilder app, string path, StaticReply document) =>
        app.MapGet(path, document.Serve).AllowAnonymous().ExcludeFromDescription();

    private static string Index() =>
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>SecureMessaging: documents</title>"
        + "<h1>SecureMessaging</h1><ul>"
        + string.Concat(Documents.Select(document => (document.Path, document.Title)).Concat(Others).Select(document => $"<li><a href=\"{document.Path}\">{document.Title}</a></li>"))
        + "</ul></html>";
}
