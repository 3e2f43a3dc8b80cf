using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>The document as a whole: its introduction, sign-in, tags, and the comments of records rewritten for readers outside C#.</summary>
internal sealed partial class DocumentDocs : IOpenApiDocumentTransformer
{
    private const string About = """
        End-to-end-encrypted envelopes in rooms: the server stores and routes bytes that it cannot read.

        - **Sign in**: call `signUp` or `signIn`, then send the access token as `Authorization: Bearer`. It is valid for minutes.
          `refresh` returns the next one.
        - **A room is one log** with a gapless `seq` from 1. Send under an id of your own and retry until the server replies: the envelope is stored once.
          Read with `afterSeq`.
        - **Live**: connect to the SignalR hub `/hubs/chat`, or subscribe at `/graphql`. Both serve the same log.
        - **Errors** are ProblemDetails (RFC 9457) with a `code` of the catalogue that REST, GraphQL and the hub share. `retryable` says whether the same
          request can succeed later. `errors` names what is wrong: a `pointer` into the body (`#/members/0`), or the `parameter` of the path or the query.
        - **Bytes** are base64, **times** UTC. Null fields are omitted. Unknown fields are ignored; a name that occurs twice is rejected.
        - **Later versions** may add fields, enum values, entry kinds and error codes to responses: ignore what you do not know, keep its `seq`, and continue.
          In requests the server rejects unknown values.

        How to build a client, with examples: [/llms.txt](/llms.txt). GraphQL schema: [/graphql/schema.graphql](/graphql/schema.graphql). Records of the hub:
        [/docs/wire.schema.json](/docs/wire.schema.json).
        """;

    private static readonly (string Name, string Description)[] Tags =
    [
        ("Auth", "Sign-up, sign-in, sessions and their tokens."),
        ("Me", "The caller's account."),
        ("Users", "Other accounts, by exact username. There is no directory."),
        ("Rooms", "Rooms and their members."),
        ("Messages", "A room's log: sending, reading, redacting."),
        ("Devices", "Devices, their identity and their MLS KeyPackages (RFC 9420)."),
        ("Handshakes", "MLS commits, proposals and Welcomes."),
        ("Admin", "For administrators of the server."),
        ("Server", "Public information about the server."),
    ];

    public Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "SecureMessaging",
            Version = "1",
            Summary = "REST API of a self-hosted backend for end-to-end-encrypted messaging.",
            Description = About,
            License = new OpenApiLicense { Name = "MIT", Identifier = "MIT" },
        };
        document.Servers = [new OpenApiServer { Url = "/", Description = "The server of this document." }];
        document.Tags = new HashSet<OpenApiTag>(Tags.Select(tag => new OpenApiTag { Name = tag.Name, Description = tag.Description }));
        document.AddComponent(OperationDocs.Bearer, new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = "bearer",
            BearerFormat = "JWT",
            Description = "The accessToken of signUp, signIn or refresh.",
        });
        foreach (var schema in document.Components?.Schemas?.Values ?? [])
        {
            schema.Description = Plain(schema.Description);
            foreach (var property in schema.Properties?.Values ?? [])
                property.Description = Plain(property.Description);
        }

        return Task.CompletedTask;
    }

    /// <summary>Replaces references to C# members by their wire names, and line breaks by spaces.</summary>
    private static string? Plain(string? text) => text is null ? null : Space().Replace(Member().Replace(text, Name), " ").Trim();

    private static string Name(Match reference) => (reference.Groups["type"].Value, reference.Groups["member"].Value) switch
    {
        (nameof(ErrorCode), var code) => code,
        (nameof(Limits), var limit) => JsonNamingPolicy.CamelCase.ConvertName(limit),
        (nameof(Schemes), var scheme) => JsonNamingPolicy.CamelCase.ConvertName(scheme),
        var (type, member) => $"{type}.{JsonNamingPolicy.CamelCase.ConvertName(member)}",
    };

    [GeneratedRegex(
        @"\b(?:(?:int|long|string|bool|byte\[\]|Guid|DateTime|EntryKind|RoomRole)\??\s+)?"
        + @"(?<type>ErrorCode|Limits|Schemes|LogEntry|SendRequest|ErrorBody|FieldError|TicketResponse)\.(?<member>[A-Z]\w+)",
        RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Member();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Space();
}
