using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>The OpenAPI document is a contract. <see cref="DocumentedReplies"/> checks its error responses in every test.</summary>
public sealed partial class OpenApiTests(SqliteServer server)
{
    private static readonly JsonSerializerOptions Printed =
        new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public async Task The_document_is_the_snapshot() => Snapshot.Matches(
        JsonNode.Parse(await server.Http.GetStringAsync("/openapi/v1.json"))!.ToJsonString(Printed) + "\n", "tests", "SecureMessaging.Tests", "Snapshots",
        "openapi.json");

    [Fact]
    public async Task Every_endpoint_is_documented_with_its_authentication()
    {
        var operations = await OperationsAsync();
        var endpoints = server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.RoutePattern.RawText!.TrimStart('/').StartsWith("v1/", StringComparison.Ordinal))
            .SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Where(method => method != "HEAD").Select(method => (
                Operation: $"{method} /{Constraint().Replace(endpoint.RoutePattern.RawText!, "}").Trim('/')}",
                Open: endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)))
            .ToList();
        Assert.NotEmpty(endpoints);
        Assert.All(endpoints, endpoint =>
        {
            Assert.True(operations.TryGetValue(endpoint.Operation, out var operation), $"{endpoint.Operation} is not in the document.");
            Assert.Equal(endpoint.Open, operation.GetProperty("security")[0].EnumerateObject().ToList() is []);
        });
    }

    [Fact]
    public async Task Every_operation_has_a_description_and_examples()
    {
        var operations = await OperationsAsync();
        Assert.All(operations, pair =>
        {
            var operation = pair.Value;
            foreach (var field in new[] { "operationId", "summary" })
                Assert.False(!operation.TryGetProperty(field, out var text)
                    || string.IsNullOrWhiteSpace(text.GetString()), $"{pair.Key} has no {field}: give its handler [EndpointName] and [EndpointSummary].");
            Assert.Single(operation.GetProperty("tags").EnumerateArray());
            var bodies = operation.GetProperty("responses").EnumerateObject().Select(response => response.Value)
                .Append(operation.TryGetProperty("requestBody", out var body) ? body : default)
                .Where(value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out _))
                .SelectMany(value => value.GetProperty("content").EnumerateObject());
            Assert.All(bodies, content => Assert.True(
                content.Value.TryGetProperty("example", out _), $"{pair.Key} has a body without an example: add its record to OpenApi/Examples.cs."));
            Assert.All(operation.TryGetProperty("parameters", out var parameters) ? [.. parameters.EnumerateArray()] : Array.Empty<JsonElement>(), parameter =>
                Assert.True(parameter.TryGetProperty(
                    "description", out _), $"{pair.Key} has the parameter {parameter.GetProperty("name")} undescribed: add it to OpenApi/ParameterDocs.cs."));
        });
        Assert.Equal(operations.Count, operations.Values.Select(operation => operation.GetProperty("operationId").GetString()).Distinct().Count());
    }

    [Fact]
    public async Task The_examples_of_requests_are_within_the_limits_of_their_schemas()
    {
        using var document = JsonDocument.Parse(await server.Http.GetStringAsync("/openapi/v1.json"));
        var schemas = document.RootElement.GetProperty("components").GetProperty("schemas");
        var limited = 0;
        foreach (var (name, operation) in await OperationsAsync())
        {
            if (!operation.TryGetProperty("requestBody", out var body))
                continue;
            var content = body.GetProperty("content").GetProperty("application/json");
            if (!content.GetProperty("schema").TryGetProperty("$ref", out var reference))
                continue;
            foreach (var property in schemas.GetProperty(reference.GetString()!.Split('/')[^1]).GetProperty("properties").EnumerateObject())
            {
                if (!content.GetProperty("example").TryGetProperty(property.Name, out var value))
                    continue;
                limited += property.Value.TryGetProperty("minLength", out var least) ? Count(value.GetString()!.Length >= least.GetInt32(), name, property.Name)
                    : 0;
                limited += property.Value.TryGetProperty("maxLength", out var most) ? Count(value.GetString()!.Length <= most.GetInt32(), name, property.Name)
                    : 0;
                limited += property.Value.TryGetProperty("pattern", out var pattern)
                    ? Count(Regex.IsMatch(value.GetString()!, pattern.GetString()!), name, property.Name) : 0;
                limited += property.Value.TryGetProperty("minimum", out var minimum) ? Count(value.GetInt64() >= minimum.GetInt64(), name, property.Name) : 0;
            }
        }

        Assert.True(limited > 40, $"{limited}");
    }

    [Fact]
    public async Task Every_text_number_and_list_of_a_request_has_a_bound()
    {
        // The server compares these with what it has stored, or a bound of another member limits them.
        string[] others = ["RefreshRequest.refreshToken", "AddMemberRequest.username", "CommitRequest.welcomes",
            "ClaimKeyPackagesRequest.deviceIds"];
        var schemas = JsonNode.Parse(await server.Http.GetStringAsync("/openapi/v1.json"))!["components"]!["schemas"]!.AsObject();
        var unbounded = schemas.Where(schema => schema.Key.EndsWith("Request", StringComparison.Ordinal))
            .SelectMany(
                schema => schema.Value!["properties"]!.AsObject().Where(member => !IsBounded(member.Value!)),
                (schema, member) => $"{schema.Key}.{member.Key}")
            .Except(others);
        Assert.True(!unbounded.Any(), $"No bound: {string.Join(", ", unbounded)}. Add one to OpenApi/SchemaDocs.cs.");

        static bool IsBounded(JsonNode schema) => !new[] { "string", "integer", "array" }.Any(type => IsOf(schema["type"], type))
            || new[] { "maxLength", "maximum", "maxItems", "enum" }.Any(bound => schema[bound] is not null)
            || (string?)schema["format"] is "uuid" or "date-time";
    }

    [Fact]
    public async Task The_document_is_built_once_and_has_an_ETag()
    {
        using var first = await server.Http.GetAsync("/openapi/v1.json");
        Assert.Equal("application/json", first.Content.Headers.ContentType?.MediaType);
        using var again = new HttpRequestMessage(HttpMethod.Get, "/openapi/v1.json") { Headers = { IfNoneMatch = { first.Headers.ETag! } } };
        using var unchanged = await server.Http.SendAsync(again);
        Assert.Equal(304, (int)unchanged.StatusCode);
        Assert.Empty(await unchanged.Content.ReadAsByteArrayAsync());
        await using var node = await server.DedicatedAsync();
        Assert.Equal(await first.Content.ReadAsStringAsync(), await node.Http.GetStringAsync("/openapi/v1.json"));
    }

    [Fact]
    public async Task No_number_is_a_big_integer_in_a_generated_client()
    {
        var text = await server.Http.GetStringAsync("/openapi/v1.json");
        Assert.DoesNotContain("int64", text, StringComparison.Ordinal);
        var numbers = Numbers(JsonNode.Parse(text)!).ToList();
        Assert.True(numbers.Count > 40, $"{numbers.Count}");
        Assert.All(numbers, number =>
            Assert.True((string?)number["format"] == "int32" || (long?)number["maximum"] <= (1L << 53) - 1, $"{number.GetPath()}: {number}"));
    }

    private static IEnumerable<JsonObject> Numbers(JsonNode node) => node switch
    {
        JsonObject schema => (IsOf(schema["type"], "integer") ? [schema] : Array.Empty<JsonObject>()).Concat(
            schema.Where(member => member.Value is not null && member.Key is not ("example" or "examples")).SelectMany(member => Numbers(member.Value!))),
        JsonArray array => array.OfType<JsonNode>().SelectMany(Numbers),
        _ => [],
    };

    private static bool IsOf(JsonNode? types, string type) => types is JsonArray several ? several.Any(one => (string?)one == type) : types is JsonValue
        && (string?)types == type;

    private static int Count(bool holds, string operation, string property)
    {
        Assert.True(holds, $"{operation}: {property}");
        return 1;
    }

    private async Task<Dictionary<string, JsonElement>> OperationsAsync()
    {
        using var document = JsonDocument.Parse(await server.Http.GetStringAsync("/openapi/v1.json"));
        Assert.StartsWith("3.1.", document.RootElement.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        return document.RootElement.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(operation => ($"{operation.Name.ToUpperInvariant()} {path.Name}", operation.Value.Clone())))
            .ToDictionary(StringComparer.Ordinal);
    }

    [GeneratedRegex(@":\w+\}", RegexOptions.None, 10_000)]
    private static partial Regex Constraint();
}
