using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>Error responses of the document: one in <c>components</c> for each set of codes that share a status.</summary>
internal static class ProblemDocs
{
    private const string Schema = nameof(Problem);
    private const string MediaType = "application/problem+json";

    public static async Task AddSchemaAsync(OpenApiDocument document, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        if (document.Components?.Schemas?.ContainsKey(Schema) is not true)
            document.AddComponent(Schema, await context.GetOrCreateSchemaAsync(typeof(Problem), null, cancellationToken));
    }

    public static IOpenApiResponse Refer(OpenApiDocument document, int status, ErrorCode[] codes)
    {
        var name = string.Concat(codes) + (status == ProblemMapper.Status(codes[0]) ? "" : status.ToString(CultureInfo.InvariantCulture));
        if (document.Components?.Responses?.ContainsKey(name) is not true)
            document.AddComponent(name, Describe(document, status, codes));
        return new OpenApiResponseReference(name, document);
    }

    private static OpenApiResponse Describe(OpenApiDocument document, int status, ErrorCode[] codes)
    {
        var response = new OpenApiResponse
        {
            Description = string.Join(' ', codes.Select(code => $"`{code}`: {Meaning(code, status)}")),
            Content = new Dictionary<string, OpenApiMediaType>(StringComparer.Ordinal)
            {
                [MediaType] = new OpenApiMediaType
                {
                    Schema = new OpenApiSchema
                    {
                        AllOf =
                        [
                            new OpenApiSchemaReference(Schema, document),
                            new OpenApiSchema
                            {
                                Type = JsonSchemaType.Object,
                                Properties = new Dictionary<string, IOpenApiSchema>(StringComparer.Ordinal)
                                {
                                    ["code"] = new OpenApiSchema
                                    {
                                        Type = JsonSchemaType.String,
                                        Enum = [.. codes.Select(code => JsonValue.Create(code.ToString()))],
                                    },
                                },
                            },
                        ],
                    },
                    Examples = codes.ToDictionary(
                        code => code.ToString(), code => (IOpenApiExample)new OpenApiExample { Value = Example(code, status) }, StringComparer.Ordinal),
                },
            },
        };
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            response.Headers = Headers("Retry-After", "Seconds to wait. retryAfterMs in the body is more precise.", "1");
        if (status == StatusCodes.Status401Unauthorized)
            response.Headers = Headers("WWW-Authenticate", "The scheme of the missing credentials.", "Bearer");
        return response;
    }

    private static Dictionary<string, IOpenApiHeader> Headers(string name, string description, string example) => new(StringComparer.Ordinal)
    {
        [name] = new OpenApiHeader { Description = description, Schema = new OpenApiSchema { Type = JsonSchemaType.String }, Example = example },
    };

    private static JsonNode? Example(ErrorCode code, int status) => JsonSerializer.SerializeToNode(
        new Problem(
            "about:blank", code.ToString(), status, Meaning(code, status), code, code.IsRetryable(),
            code is ErrorCode.RateLimited or ErrorCode.Overloaded ? 1000 : null, code is ErrorCode.WrongEpoch or ErrorCode.EpochTooOld ? 7 : null,
            code == ErrorCode.Invalid && status == StatusCodes.Status400BadRequest ? [new FieldError("A username must not be null.", "#/members/0")] : null),
        Wire.Json);

    private static string Meaning(ErrorCode code, int status) => (code, status) switch
    {
        (ErrorCode.Invalid, StatusCodes.Status415UnsupportedMediaType) => "The body must be application/json in UTF-8.",
        (ErrorCode.Internal, _) => "The server failed. The outcome is unknown; sends are safe to retry.",
        (ErrorCode.NotFound, _) => "Not found, or the caller does not have access.",
        (ErrorCode.Unauthenticated, _) => "Credentials are missing, wrong, expired or revoked.",
        (ErrorCode.Forbidden, _) => "The caller may not do this.",
        (ErrorCode.Invalid, _) => "The request is malformed or breaks a rule of the contract.",
        (ErrorCode.Conflict, _) => "The request conflicts with stored data.",
        (ErrorCode.WrongEpoch, _) => "The room's group is in another epoch. Replay the log, then retry.",
        (ErrorCode.EpochTooOld, _) => "The room no longer accepts this epoch. Encrypt for the current one.",
        (ErrorCode.TooLarge, _) => "The request exceeds one of the limits of getLimits.",
        (ErrorCode.RateLimited, _) => "Too many requests. Wait for retryAfterMs.",
        (ErrorCode.Overloaded, _) => "The server is busy and did nothing. Wait for retryAfterMs.",
        (ErrorCode.Unavailable, _) => "The database did not answer in time. The outcome is unknown.",
        (ErrorCode.Expired, _) => "The resource has expired.",
        (ErrorCode.QuotaExceeded, _) => "A byte quota of getLimits is used up. Nothing was stored.",
        _ => code.ToString(),
    };
}
