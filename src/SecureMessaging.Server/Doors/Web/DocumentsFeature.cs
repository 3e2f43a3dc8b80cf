using System.Text;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.Web;

/// <summary>Public documents: the data inventory, and the contract's documents for client developers.</summary>
internal static class DocumentsFeature
{
    private static readonly (string Path, string Resource, string Type, string Title)[] Documents =
    [
        ("/llms.txt", "llms.txt", "text/markdown; charset=utf-8", "How to build a client, on one page, for coding assistants and people"),
        ("/.well-known/data-inventory", "inventory.json", "application/json", "Data inventory: every column, log property and metric label"),
        ("/docs/database.md", "database.md", "text/markdown; charset=utf-8", "Database: ER diagram (Mermaid) and data dictionary"),
        ("/docs/wire.schema.json", "wire.schema.json", "application/schema+json", "JSON Schema of every record on the wire"),
    ];

    public static void MapDocuments(this IEndpointRouteBuilder app)
    {
        foreach (var (path, resource, type, _) in Documents)
            Map(app, path, new StaticReply(EmbeddedFile.Read(resource), type));
        Map(app, "/docs", new StaticReply(Encoding.UTF8.GetBytes(Index(app.ServiceProvider.GetServices<PublicDocument>())), "text/html; charset=utf-8"));
    }

    private static void Map(IEndpointRouteBuilder app, string path, StaticReply document) =>
        app.MapGet(path, document.Serve).AllowAnonymous().ExcludeFromDescription();

    private static string Index(IEnumerable<PublicDocument> others) =>
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
        + "<title>SecureMessaging: documents</title>"
        + "<h1>SecureMessaging</h1><ul>"
        + string.Concat(Documents.Select(document => new PublicDocument(document.Path, document.Title)).Concat(others)
            .Select(document => $"<li><a href=\"{document.Path}\">{document.Title}</a></li>"))
        + "</ul></html>";
}
