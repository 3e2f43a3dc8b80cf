using System.Text;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>The contract of the REST API at <c>/openapi/v1.json</c>, made from the endpoints at the first request and then kept.</summary>
internal static class OpenApiFeature
{
    public const string Path = "/openapi/v1.json";

    private const string Name = "v1";

    public static void AddOpenApiDocument(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<IManagementPage, ApiPlayground>();
        builder.Services.AddSingleton(new PublicDocument(Path, "OpenAPI 3.1 of the REST API"));
        builder.Services.AddOpenApi(Name, Describe);
    }

    private static void Describe(OpenApiOptions options)
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.ShouldInclude = operation => operation.HttpMethod != HttpMethods.Head;
        options.AddSchemaTransformer<SchemaDocs>();
        options.AddOperationTransformer<OperationDocs>();
        options.AddDocumentTransformer<DocumentDocs>();
    }

    public static void MapOpenApiDocument(this IEndpointRouteBuilder app)
    {
        StaticReply? made = null;
        app.MapGet(Path, async (IServiceProvider services, CancellationToken cancellationToken) =>
                (made ??= await MakeAsync(services, cancellationToken)).Serve())
            .AllowAnonymous().ExcludeFromDescription();
    }

    private static async Task<StaticReply> MakeAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var document = await services.GetRequiredKeyedService<IOpenApiDocumentProvider>(Name).GetOpenApiDocumentAsync(cancellationToken);
        return new StaticReply(
            Encoding.UTF8.GetBytes(await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_1, cancellationToken)), "application/json");
    }
}
