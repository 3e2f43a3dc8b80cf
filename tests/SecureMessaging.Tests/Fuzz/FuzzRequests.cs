using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using GraphQL;
using GraphQL.Types;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Fuzz;

/// <summary>Generates requests to every endpoint and field of the server from its metadata, and damages some.</summary>
internal sealed class FuzzRequests
{
    private static readonly string[] Types = ["application/json", "application/json; charset=utf-8", "text/plain", "application/json; charset=utf-16",
        "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"];
    private readonly FuzzValues values;
    private readonly List<(string Method, RouteEndpoint Endpoint, Type? Body)> endpoints;
    private readonly (string Name, IObjectGraphType Type)[] roots;

    public FuzzRequests(TestServer server, FuzzValues values)
    {
        this.values = values;
        endpoints =
        [
            .. from endpoint in server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
               where !endpoint.RoutePattern.RawText!.StartsWith("/graphql", StringComparison.Ordinal)
               from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"]
               select (method, endpoint, endpoint.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType),
        ];
        var schema = server.Services.GetRequiredService<ISchema>();
        schema.Initialize();
        roots = [("query", schema.Query), ("mutation", schema.Mutation!), ("subscription", schema.Subscription!)];
    }

    public HttpRequestMessage Rest()
    {
        var (method, endpoint, body) = values.Pick(endpoints);
        var path = new StringBuilder();
        foreach (var segment in endpoint.RoutePattern.PathSegments)
        {
            path.Append('/');
            foreach (var part in segment.Parts)
            {
                path.Append(part switch
                {
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart { Name: "seq" } => values.Number().ToString(),
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart { Name: var name } =>
                        Uri.EscapeDataString(Short(name.EndsWith("Id", StringComparison.Ordinal) || name == "id" ? values.Id() : values.Text())),
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal => literal.Content,
                    _ => "",
                });
            }
        }

        if (values.Chance(0.3))
            path.Append($"?afterSeq={Uri.EscapeDataString(values.Chance(0.8) ? values.Number().ToString() : Short(values.Text()))}&limit={values.Number()}");
        if (values.Chance(0.03))
            method = values.Pick(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]);
        var request = new HttpRequestMessage(new HttpMethod(method), path.ToString());
        if (body is not null || values.Chance(0.1))
        {
            var json = body is null ? JsonSerializer.Serialize(values.Anything()) : values.Json(body);
            request.Content = Content(values.Chance(0.3) ? values.Damage(json) : json);
        }

        return Dress(request);
    }

    public HttpRequestMessage GraphQL()
    {
        var (root, type) = values.Pick(roots);
        var variables = new Dictionary<string, object?>(StringComparer.Ordinal);
        var declared = new List<string>();
        var document = new StringBuilder();
        for (var i = values.Random.Next(1, 4); i > 0; i--)
            document.Append(Field(values.Pick([.. type.Fields]), variables, declared, 0)).Append(' ');
        var text = $"{root}{(declared.Count == 0 ? "" : $"({string.Join(", ", declared)})")} {{ {document} }}";
        if (values.Chance(0.3))
            text = values.Damage(text);
        if (values.Chance(0.1))
        {
            var (query, given) = (Uri.EscapeDataString(Short(text, 6000)), Uri.EscapeDataString(Short(JsonSerializer.Serialize(variables), 6000)));
            return Dress(new HttpRequestMessage(HttpMethod.Get, $"/graphql?query={query}&variables={given}"));
        }

        var json = JsonSerializer.Serialize(new { query = text, variables, operationName = values.Chance(0.05) ? values.Text() : null });
        return Dress(new HttpRequestMessage(HttpMethod.Post, "/graphql") { Content = Content(values.Chance(0.1) ? values.Damage(json) : json) });
    }

    /// <summary>A damaged token: a changed bit or character, or a part of another.</summary>
    public string Token(string genuine)
    {
        var parts = genuine.Split('.');
        switch (values.Random.Next(4))
        {
            case 0:
                var part = values.Random.Next(parts.Length);
                var bytes = System.Buffers.Text.Base64Url.DecodeFromChars(parts[part]);
                bytes[values.Random.Next(bytes.Length)] ^= (byte)(1 << values.Random.Next(8));
                parts[part] = System.Buffers.Text.Base64Url.EncodeToString(bytes);
                return string.Join('.', parts);
            case 1:
                // One part is damaged as JSON text, with the old signature.
                part = values.Random.Next(2);
                parts[part] = System.Buffers.Text.Base64Url.EncodeToString(
                    Encoding.UTF8.GetBytes(values.Damage(Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(parts[part])))));
                return string.Join('.', parts);
            case 2:
                return string.Join('.', Enumerable.Range(0, values.Random.Next(7)).Select(_ => values.Pick(parts)));
            default:
                return string.Concat(values.Damage(genuine).Where(character => character is > ' ' and < (char)127));
        }
    }

    private HttpRequestMessage Dress(HttpRequestMessage request)
    {
        if (values.Chance(0.05))
            request.Headers.TryAddWithoutValidation("Accept", values.Pick(
                ["*/*", "application/graphql-response+json", "text/html", "application/xml;q=0", ";;;", "application/json; charset=\"utf-7\""]));
        if (values.Chance(0.03))
            request.Headers.TryAddWithoutValidation("Origin", values.Pick(["null", "https://evil.example", "http://127.0.0.1", "x"]));
        if (values.Chance(0.02))
            request.Headers.TryAddWithoutValidation("X-Forwarded-For", values.Pick(["1.2.3.4", "::1, x", "]", new string('1', 3000)]));
        return request;
    }

    private ByteArrayContent Content(string text)
    {
        // Half a surrogate pair is replaced, as in any client.
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(values.Chance(0.95) ? Types[0] : values.Pick(Types));
        if (values.Chance(0.01))
            content.Headers.ContentEncoding.Add("gzip");
        return content;
    }

    private string Field(FieldType field, Dictionary<string, object?> variables, List<string> declared, int depth)
    {
        var text = new StringBuilder(values.Chance(0.1) ? $"a{values.Random.Next(5)}: " : "").Append(field.Name);
        var arguments = new List<string>();
        foreach (var argument in field.Arguments ?? [])
        {
            if (values.Chance(0.05) || (argument.ResolvedType is not NonNullGraphType && values.Chance(0.4)))
                continue;
            var value = Value(argument.ResolvedType!, 0);
            var name = $"v{variables.Count}";
            variables[name] = value;
            declared.Add($"${name}: {argument.ResolvedType}");
            arguments.Add($"{argument.Name}: ${name}");
        }

        if (arguments.Count > 0)
            text.Append('(').AppendJoin(", ", arguments).Append(')');
        if (values.Chance(0.03))
            text.Append(values.Pick([" @skip(if: false)", " @include(if: true)", " @deprecated", " @skip(if: \"x\")"]));
        if (field.ResolvedType!.GetNamedType() is IComplexGraphType type)
        {
            var fields = Enumerable.Range(0, values.Random.Next(1, 4)).Select(_ => values.Pick([.. type.Fields]))
                .Select(inner => depth > 4 ? "__typename" : Field(inner, variables, declared, depth + 1));
            text.Append(" { ").AppendJoin(' ', fields).Append(" }");
        }

        return text.ToString();
    }

    private object? Value(IGraphType type, int depth)
    {
        if (values.Chance(0.05))
            return values.Anything();
        return type switch
        {
            NonNullGraphType required => Value(required.ResolvedType!, depth),
            ListGraphType list => Enumerable.Range(0, values.Random.Next(4)).Select(_ => Value(list.ResolvedType!, depth + 1)).ToArray(),
            EnumerationGraphType known => values.Pick([.. known.Values]).Name,
            IInputObjectGraphType input when depth < 5 => input.Fields.Where(_ => !values.Chance(0.1))
                .ToDictionary(field => field.Name, field => Value(field.ResolvedType!, depth + 1), StringComparer.Ordinal),
            { Name: "Boolean" } => values.Chance(0.5),
            { Name: "Int" or "Long" } => values.Number(),
            { Name: "ID" } => values.Id(),
            { Name: "Base64" } => values.Base64(),
            _ => values.Text(),
        };
    }

    private static string Short(string text, int most = 300) => text.Length <= most ? text : text[..most];
}
