using System.Text;
using System.Text.Json.Nodes;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>An operation of the OpenAPI document, with an example of its request.</summary>
/// <param name="Document">The whole document, which schemas refer to.</param>
/// <param name="Method">The HTTP method.</param>
/// <param name="Path">The path with its parameters in braces.</param>
/// <param name="Parameters">Of path and query.</param>
/// <param name="Schema">The schema of the body; null without a body.</param>
/// <param name="Example">The example of the body.</param>
internal sealed record DocumentedRequest(JsonNode Document, string Method, string Path, JsonArray Parameters, JsonNode? Schema, JsonNode? Example)
{
    private const string Json = "application/json";

    public string Name => $"{Method} {Path}";

    public static async Task<List<DocumentedRequest>> ReadAsync(TestServer server)
    {
        var document = JsonNode.Parse(await server.Http.GetStringAsync("/openapi/v1.json"))!;
        return
        [
            .. from path in document["paths"]!.AsObject()
               from operation in path.Value!.AsObject()
               let body = operation.Value!["requestBody"]?["content"]?[Json]
               select new DocumentedRequest(
                   document, operation.Key.ToUpperInvariant(), path.Key, operation.Value!["parameters"]?.AsArray() ?? [], body?["schema"], body?["example"]),
        ];
    }

    public IEnumerable<string> ParametersIn(string place) => Parameters.Where(parameter => (string?)parameter!["in"] == place)
        .Select(parameter => (string)parameter!["name"]!);

    public bool IsWholeNumber(string parameter) => Types(Parameters.Single(candidate => (string?)candidate!["name"] == parameter)!["schema"]!)
        .Contains("integer");

    /// <summary>Sends the request with the examples of its path parameters.</summary>
    public async Task<HttpResponseMessage> SendAsync(HttpClient http, string? body, string query = "", (string Name, string Value)? parameter = null)
    {
        var path = Path;
        foreach (var name in ParametersIn("path"))
        {
            var example = Parameters.Single(candidate => (string?)candidate!["name"] == name)!["example"]!.ToString();
            path = path.Replace($"{{{name}}}", parameter is { } other && other.Name == name ? other.Value : example, StringComparison.Ordinal);
        }

        using var request = new HttpRequestMessage(new HttpMethod(Method), path + query);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, Json);
        return await http.SendAsync(request);
    }

    /// <summary>Each member of the body, at any depth, with its schema and whether it is required.</summary>
    public IEnumerable<(string Pointer, JsonNode Schema, bool Required)> Members() => Schema is null ? [] : Members("", Schema);

    public JsonNode Resolve(JsonNode schema)
    {
        if (schema["oneOf"]?.AsArray().FirstOrDefault(option => option!["$ref"] is not null) is { } nullable)
            schema = nullable;
        return (string?)schema["$ref"] is { } reference ? Document["components"]!["schemas"]![reference.Split('/')[^1]]! : schema;
    }

    public string[] Types(JsonNode schema) => Resolve(schema)["type"] switch
    {
        JsonArray several => [.. several.Select(type => (string)type!)],
        JsonValue one => [(string)one!],
        _ => [],
    };

    private IEnumerable<(string Pointer, JsonNode Schema, bool Required)> Members(string pointer, JsonNode schema)
    {
        var resolved = Resolve(schema);
        if (resolved["items"] is { } items)
        {
            yield return ($"{pointer}/0", items, false);
            foreach (var member in Members($"{pointer}/0", items))
                yield return member;
        }

        foreach (var (name, property) in resolved["properties"]?.AsObject().ToList() ?? [])
        {
            yield return ($"{pointer}/{name}", property!, resolved["required"]?.AsArray().Any(required => (string?)required == name) ?? false);
            foreach (var member in Members($"{pointer}/{name}", property!))
                yield return member;
        }
    }
}
