using System.Globalization;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>
/// Adds to the framework's description of an operation: who may call it, its error codes, examples of requests and responses, and the headers of
/// <see cref="ConditionalReplies"/>.
/// </summary>
internal sealed class OperationDocs(Limits limits) : IOpenApiOperationTransformer
{
    public const string Bearer = "bearer";

    private const string Json = "application/json";

    private readonly ParameterDocs parameters = new(limits);

    public async Task TransformAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var document = context.Document ?? throw new InvalidOperationException("An operation must belong to a document.");
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var open = metadata.OfType<IAllowAnonymous>().Any();
        // An empty requirement means that no credentials are needed.
        operation.Security = [open ? [] : new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
        operation.Responses ??= [];
        parameters.Describe(operation);
        AddExamples(operation, context.Description);
        AddHeaders(operation, metadata);
        var refusals = Refusals(context.Description, metadata, open).Distinct().Select(code => (Status: ProblemMapper.Status(code), Code: code)).ToList();
        if (HasBody(context.Description))
            refusals.Add((StatusCodes.Status415UnsupportedMediaType, ErrorCode.Invalid));
        if (refusals.Count > 0)
            await ProblemDocs.AddSchemaAsync(document, context, cancellationToken);
        foreach (var refusal in refusals.GroupBy(refusal => refusal.Status, refusal => refusal.Code).OrderBy(refusal => refusal.Key))
            operation.Responses.TryAdd(refusal.Key.ToString(CultureInfo.InvariantCulture), ProblemDocs.Refer(document, refusal.Key, [.. refusal.Order()]));
    }

    /// <summary>The codes that follow from the route, and those that the handler declares.</summary>
    private static IEnumerable<ErrorCode> Refusals(ApiDescription operation, IList<object> metadata, bool open)
    {
        foreach (var code in metadata.OfType<RefusesAttribute>().SelectMany(attribute => attribute.Codes))
            yield return code;
        yield return ErrorCode.Internal;
        yield return ErrorCode.RateLimited;
        if (!open)
            yield return ErrorCode.Unauthenticated;
        if (metadata.OfType<IAuthorizeData>().Any(authorize => authorize.Policy is not null))
            yield return ErrorCode.Forbidden;
        // Anonymous reads are served from memory. Everything else needs the database.
        if (!open || operation.HttpMethod != HttpMethods.Get)
        {
            yield return ErrorCode.Overloaded;
            yield return ErrorCode.Unavailable;
        }

        if (operation.ParameterDescriptions.Any(parameter => parameter.Source == BindingSource.Path))
            yield return ErrorCode.NotFound;
        // A seq in the path may be out of range. Other unreadable path segments match no route.
        if (HasBody(operation) || operation.ParameterDescriptions.Any(parameter => parameter.Source == BindingSource.Query || parameter.Type == typeof(long)))
            yield return ErrorCode.Invalid;
        if (HasBody(operation))
            yield return ErrorCode.TooLarge;
    }

    private static bool HasBody(ApiDescription operation) => operation.ParameterDescriptions.Any(parameter => parameter.Source == BindingSource.Body);

    private static void AddExamples(OpenApiOperation operation, ApiDescription description)
    {
        if (description.ParameterDescriptions.FirstOrDefault(parameter => parameter.Source == BindingSource.Body) is { } body)
        {
            foreach (var given in operation.RequestBody?.Content?.Values ?? [])
                given.Example = Examples.Of(body.Type);
        }

        foreach (var type in description.SupportedResponseTypes)
        {
            if (operation.Responses!.TryGetValue(type.StatusCode.ToString(CultureInfo.InvariantCulture), out var response)
                && response.Content?.TryGetValue(Json, out var reply) is true && type.Type is not null)
                reply.Example = Examples.Of(type.Type);
        }
    }

    private static void AddHeaders(OpenApiOperation operation, IList<object> metadata)
    {
        if (metadata.OfType<ConditionalMetadata>().Any())
        {
            (operation.Parameters ??= []).Add(new OpenApiParameter
            {
                Name = "If-None-Match",
                In = ParameterLocation.Header,
                Description = "The ETag of an earlier response. 304 when it is still current (RFC 9110 section 13.1.2).",
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            });
            AddHeader(operation, "200", "ETag", "Changes with the content.", "\"q5fWMYJxNQ5kXlxvfVJZ9Q\"");
            operation.Responses!.TryAdd("304", new OpenApiResponse { Description = "The content has not changed since the response with that ETag." });
        }

        foreach (var header in metadata.OfType<ReplyHeaderAttribute>())
            AddHeader(operation, header.Status, header.Name, header.Description, header.Example);
    }

    private static void AddHeader(OpenApiOperation operation, string status, string name, string description, string example)
    {
        if (operation.Responses!.TryGetValue(status, out var reply) && reply is OpenApiResponse response)
        {
            (response.Headers ??= new Dictionary<string, IOpenApiHeader>(StringComparer.Ordinal))[name] =
                new OpenApiHeader { Description = description, Schema = new OpenApiSchema { Type = JsonSchemaType.String }, Example = example };
        }
    }
}
