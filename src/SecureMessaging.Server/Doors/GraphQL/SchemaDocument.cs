using System.Text;
using GraphQL;
using GraphQL.Types;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// The schema as a document for client developers. It is the same on every server. Introspection is closed because it is expensive; this document is not.
/// </summary>
internal static class SchemaDocument
{
    public const string Path = $"{GraphQLFeature.Path}/schema.graphql";

    public static void Map(IEndpointRouteBuilder app)
    {
        StaticReply? made = null;
        app.MapGet(Path, (ISchema schema) => (made ??= new StaticReply(Encoding.UTF8.GetBytes(Print(schema)), "text/plain; charset=utf-8")).Serve())
            .AllowAnonymous().ExcludeFromDescription();
    }

    public static string Print(ISchema schema) => schema.Print(new() { StringComparison = StringComparison.Ordinal }).ReplaceLineEndings("\n").TrimEnd() + "\n";
}
