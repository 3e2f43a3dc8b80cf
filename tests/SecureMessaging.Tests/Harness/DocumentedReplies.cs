using System.Text.Json;

namespace SecureMessaging.Tests.Harness;

/// <summary>
/// Compares every REST response of the tests with the OpenAPI document in Snapshots: an operation must not return an undocumented status or error
/// code.
/// </summary>
internal sealed class DocumentedReplies : DelegatingHandler
{
    private static readonly Lazy<List<Operation>> Operations = new(Read);

    public DocumentedReplies()
        : base(new SocketsHttpHandler())
    {
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        var segments = request.RequestUri!.AbsolutePath.Trim('/').Split('/');
        var operation = Operations.Value.Where(candidate => candidate.Method == request.Method.Method && candidate.Matches(segments))
            .MaxBy(candidate => candidate.Fixed);
        if (operation is null)
            return response;
        var status = ((int)response.StatusCode).ToString();
        if (!operation.Answers.TryGetValue(status, out var codes))
            throw new UndocumentedReplyException($"{operation.Name} answered {status}, which is not documented: see [Refuses].");
        if (codes is null || response.Content.Headers.ContentType?.MediaType != "application/problem+json")
            return response;
        await response.Content.LoadIntoBufferAsync(cancellationToken);
        using var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(cancellationToken));
        var code = problem.RootElement.GetProperty("code").GetString()!;
        if (status == "400" && !problem.RootElement.TryGetProperty("errors", out _))
            throw new UndocumentedReplyException($"{operation.Name} refused without naming the field: {problem.RootElement.GetProperty("detail")}");
        return codes.Contains(code) ? response
            : throw new UndocumentedReplyException($"{operation.Name} refused with {code}, which is not documented: see [Refuses].");
    }

    private static List<Operation> Read()
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Repository.PathOf("tests", "SecureMessaging.Tests", "Snapshots", "openapi.json")));
        var responses = document.RootElement.GetProperty("components").GetProperty("responses");
        return
        [
            .. document.RootElement.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject().Select(operation => new Operation(
                operation.Name.ToUpperInvariant(), path.Name, operation.Value.GetProperty("responses").EnumerateObject().ToDictionary(
                    response => response.Name, response => Codes(response.Value, responses), StringComparer.Ordinal)))),
        ];
    }

    /// <summary>Null: the response is not an error.</summary>
    private static HashSet<string>? Codes(JsonElement response, JsonElement components)
    {
        if (response.TryGetProperty("$ref", out var reference))
            response = components.GetProperty(reference.GetString()!.Split('/')[^1]);
        return response.TryGetProperty("content", out var content) && content.TryGetProperty("application/problem+json", out var problem)
            ? [.. problem.GetProperty("examples").EnumerateObject().Select(example => example.Name)]
            : null;
    }

    private sealed record Operation(string Method, string Path, Dictionary<string, HashSet<string>?> Answers)
    {
        private readonly string[] parts = Path.Trim('/').Split('/');

        public string Name => $"{Method} {Path}";

        /// <summary>More fixed parts are a better match.</summary>
        public int Fixed => parts.Count(part => !part.StartsWith('{'));

        public bool Matches(string[] segments) =>
            segments.Length == parts.Length
                && parts.Zip(segments).All(pair => pair.First.StartsWith('{') || pair.First.Equals(pair.Second, StringComparison.OrdinalIgnoreCase));
    }
}

/// <summary>Not an assertion, so that a test that expects an error does not accept it.</summary>
internal sealed class UndocumentedReplyException(string message) : Exception(message);
