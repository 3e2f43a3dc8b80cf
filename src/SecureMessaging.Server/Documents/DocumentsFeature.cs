namespace SecureMessaging.Server.Documents;

/// <summary>What the server says about itself without being asked by anybody in particular: the data inventory and the documents made from its schema.</summary>
internal static class DocumentsFeature
{
    private static readonly (string Path, string Resource, string Type, string Title)[] Documents =
    [
        ("/.well-known/data-inventory", "inventory.json", "application/json", "Data inventory: every column, log property and metric label"),
        ("/docs/database.md", "database.md", "text/markdown; charset=utf-8", "Database: ER diagram (Mermaid) and data dictionary"),
        ("/docs/wire.schema.json", "wire.schema.json", "application/schema+json", "JSON Schema of every record on the wire"),
    ];

    public static void MapDocuments(this IEndpointRouteBuilder app)
    {
        foreach (var (path, resource, type, _) in Documents)
        {
            var bytes = Read(resource);
            app.MapGet(path, () => TypedResults.Bytes(bytes, type)).AllowAnonymous().ExcludeFromDescription();
        }

        var index = Index();
        app.MapGet("/docs", () => TypedResults.Text(index, "text/html; charset=utf-8")).AllowAnonymous().ExcludeFromDescription();
    }

    private static string Index() =>
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>SecureMessaging: documents</title>"
        + "<h1>SecureMessaging</h1><ul>" + string.Concat(Documents.Select(document => $"<li><a href=\"{document.Path}\">{document.Title}</a></li>")) + "</ul></html>";

    private static byte[] Read(string resource)
    {
        using var stream = typeof(DocumentsFeature).Assembly.GetManifestResourceStream(resource) ?? throw new InvalidOperationException($"{resource} is not embedded.");
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        return memory.ToArray();
    }
}
