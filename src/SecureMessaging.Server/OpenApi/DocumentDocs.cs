using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.OpenApi;

/// <summary>What concerns the document as a whole: what it is about, who may call, what the tags are, and how the records' own comments read outside C#.</summary>
internal sealed partial class DocumentDocs : IOpenApiDocumentTransformer
{
    private const string About = """
        End-to-end-encrypted envelopes in rooms: the server stores and routes bytes that it cannot read.

        - **Sign in**: `signUp` or `signIn`, then `Authorization: Bearer` with the access token. It lives for minutes; `refresh` gives the next one.
        - **A room is one log** with a gapless `seq` from 1. Send under an id of your own and repeat until it is answered: it is stored once. Read on with `afterSeq`.
        - **Live**: connect to the SignalR hub `/hubs/chat`, or subscribe at `/graphql`. Both serve the same log.
        - **Errors** are ProblemDetails (RFC 9457) whose `code` is one of a catalogue that all doors share; `retryable` says whether the same request can succeed later.
          `errors` names what is wrong: a `pointer` into the body (`#/members/0`), or the `parameter` of the path or the query.
        - **Bytes** are base64, **times** UTC. Fields that are null are left out. Unknown fields are ignored, a name given twice is refused.
        - **Later versions** may add fields, enum values, entry kinds and error codes to answers: ignore what you do not know, keep its `seq`, and go on. In requests they are refused.

        How to build a client, with examples: [/llms.txt](/llms.txt). GraphQL schema: [/graphql/schema.graphql](/graphql/schema.graphql). Records of the hub:
        [/docs/wire.schema.json](/docs/wire.schema.json).
        """;

    private static readonly (string Name, string Description)[] Tags =
    [
        ("Auth", "Sessions and what they live on."),
        ("Me", "One's own account."),
        ("Users", "Others, by their exact username; there is no directory."),
        ("Rooms", "Rooms and their rosters."),
        ("Messages", "A room's log: sending, reading, taking back."),
        ("Devices", "Devices, their identity and their MLS KeyPackages (RFC 9420)."),
        ("Handshakes", "MLS commits, proposals and Welcomes."),
        ("Admin", "For administrators of the server."),
        ("Server", "What the server says of itself to anybody."),
    ];

    public Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "SecureMessaging",
            Version = "1",
            Summary = "REST door of a self-hosted backend for end-to-end-encrypted messaging.",
            Description = About,
            License = new OpenApiLicense { Name = "MIT", Identifier = "MIT" },
        };
        document.Servers = [new OpenApiServer { Url = "/", Description = "The server that this document came from." }];
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

    /// <summary>References to members are written as C# has them, and lines are broken for an editor.</summary>
    private static string? Plain(string? text) => text is null ? null : Space().Replace(Member().Replace(text, Name), " ").Trim();

    private static string Name(Match reference) => (reference.Groups["type"].Value, reference.Groups["member"].Value) switch
    {
        (nameof(ErrorCode), var code) => code,
        (nameof(Limits), var limit) => JsonNamingPolicy.CamelCase.ConvertName(limit),
        (nameof(Schemes), var scheme) => JsonNamingPolicy.CamelCase.ConvertName(scheme),
        var (type, member) => $"{type}.{JsonNamingPolicy.CamelCase.ConvertName(member)}",
    };

    [GeneratedRegex(
        @"\b(?:(?:int|long|string|bool|byte\[\]|Guid|DateTime|EntryKind|RoomRole)\??\s+)?(?<type>ErrorCode|Limits|Schemes|LogEntry|SendRequest|ErrorBody|FieldError|TicketResponse)\.(?<member>[A-Z]\w+)",
        RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Member();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Space();
}
