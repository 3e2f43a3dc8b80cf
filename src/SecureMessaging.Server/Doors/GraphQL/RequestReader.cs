using System.Buffers;
using System.Text.Json;
using GraphQL;
using GraphQL.SystemTextJson;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// Reads the JSON of requests. Before it creates objects it bounds depth, number of values and length of numbers, and rejects duplicate names and invalid
/// Unicode.
/// </summary>
internal sealed class RequestReader(GraphQLSerializer serializer, IOptions<GraphQLOptions> options)
{
    private const int MaxDepth = 24;

    /// <summary>Longer than any number of the schema. Parsing longer ones is slow.</summary>
    private const int MaxNumber = 32;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    public JsonDocument Parse(ReadOnlySequence<byte> json)
    {
        try
        {
            Count(json);
            return JsonDocument.Parse(json, Strict);
        }
        catch (JsonException exception)
        {
            // The parser reports the location of a fault. A fault without location is a duplicate name.
            var located = exception.LineNumber is null
                ? exception
                : new JsonException(null, exception.Path, exception.LineNumber, exception.BytePositionInLine, exception);
            var body = JsonFault.Describe(located, null);
            throw new ApiException(Protocol.ErrorCode.Invalid, body.Message, exception) { Errors = body.Errors };
        }
        catch (InvalidOperationException exception)
        {
            const string sentence = "A string of the request is not valid Unicode.";
            throw new ApiException(Protocol.ErrorCode.Invalid, sentence, exception) { Errors = [new Protocol.FieldError(sentence, "#")] };
        }
    }

    /// <summary>GraphQL over HTTP, section 6.1. Other members are ignored, and so is <c>extensions</c>.</summary>
    public OperationRequest Read(JsonElement request)
    {
        if (request.ValueKind == JsonValueKind.Array)
            throw ApiException.Invalid("A request must have exactly one operation. Batches are not supported.");
        if (request.ValueKind != JsonValueKind.Object)
            throw ApiException.Invalid("The request must be a JSON object.");
        Member(request, "extensions", JsonValueKind.Object);
        return Read(
            Member(request, "query", JsonValueKind.String)?.GetString(), Member(request, "operationName", JsonValueKind.String)?.GetString(),
            Member(request, "variables", JsonValueKind.Object));
    }

    public OperationRequest Read(IQueryCollection query)
    {
        Json("extensions")?.Dispose();
        using var variables = Json("variables");
        return Read(Single("query"), Single("operationName"), variables?.RootElement);

        string? Single(string name) => query.TryGetValue(name, out var values)
            ? values is [{ } only] ? only : throw ApiException.Invalid($"{name} must be given only once.", name)
            : null;

        JsonDocument? Json(string name)
        {
            if (Single(name) is not { Length: > 0 } text)
                return null;
            var parsed = ParseParameter(name, text);
            if (parsed.RootElement.ValueKind is JsonValueKind.Object)
                return parsed;
            using (parsed)
                return parsed.RootElement.ValueKind is JsonValueKind.Null ? null : throw ApiException.Invalid($"{name} must be a JSON object.", name);
        }
    }

    private JsonDocument ParseParameter(string name, string text)
    {
        try
        {
            return Parse(new ReadOnlySequence<byte>(System.Text.Encoding.UTF8.GetBytes(text)));
        }
        catch (ApiException exception)
        {
            throw exception.Within(name);
        }
    }

    private OperationRequest Read(string? query, string? operationName, JsonElement? variables) => new(
        string.IsNullOrWhiteSpace(query) ? throw ApiException.Invalid("query must be given.", "query") : query, operationName,
        variables is { } given ? serializer.ReadNode<Inputs>(given) ?? Inputs.Empty : Inputs.Empty);

    private static JsonElement? Member(JsonElement request, string name, JsonValueKind kind)
    {
        if (!request.TryGetProperty(name, out var member) || member.ValueKind == JsonValueKind.Null)
            return null;
        return member.ValueKind == kind ? member : throw ApiException.Invalid($"{name} must be a JSON {kind.ToString().ToLowerInvariant()}.", name);
    }

    private void Count(ReadOnlySequence<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        for (var count = 0; reader.Read(); count++)
        {
            if (count > options.Value.MaxValues)
                throw new ApiException(Protocol.ErrorCode.TooLarge, $"A request may have at most {options.Value.MaxValues} JSON values.");
            if (reader.TokenType == JsonTokenType.Number && Length(reader) > MaxNumber)
                throw ApiException.Invalid("A number is too long.");
            if (reader.TokenType == JsonTokenType.String)
                RequireText(reader);
        }
    }

    /// <summary>The JSON parser accepts half of a surrogate pair and invalid UTF-8, and fails only when the string is read.</summary>
    private static void RequireText(in Utf8JsonReader reader)
    {
        var characters = ArrayPool<char>.Shared.Rent((int)Length(reader));
        try
        {
            reader.CopyString(characters);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(characters);
        }
    }

    private static long Length(in Utf8JsonReader reader) => reader.HasValueSequence ? reader.ValueSequence.Length : reader.ValueSpan.Length;
}
