using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Limits of documents and WebSockets. Section <c>GraphQL</c>.</summary>
internal sealed class GraphQLOptions
{
    public const string Section = "GraphQL";

    /// <summary>Whether signed-in callers may use introspection. In the Development environment every caller may.</summary>
    public bool IntrospectionForUsers { get; set; }

    /// <summary>Whether the management address serves GraphiQL at <c>/graphql/ui</c>.</summary>
    public bool Playground { get; set; } = true;

    [Range(1, 100)]
    public int MaxDepth { get; set; } = 10;

    [Range(0, 1000)]
    public int MaxAliases { get; set; } = 30;

    [Range(10, 100_000)]
    public int MaxTokens { get; set; } = 1500;

    /// <summary>Characters of a document. Pass long values as variables.</summary>
    [Range(100, 1_000_000)]
    public int MaxCharacters { get; set; } = 64 * 1024;

    /// <summary>Values in the JSON of a request.</summary>
    [Range(10, 1_000_000)]
    public int MaxValues { get; set; } = 5000;

    /// <summary>Cost of all requested fields. A field costs 1 or its price in the schema, times the lengths of the lists around it.</summary>
    [Range(1, 1_000_000)]
    public int MaxCost { get; set; } = 20_000;

    /// <summary>Running operations of one WebSocket.</summary>
    [Range(1, 1000)]
    public int MaxOperations { get; set; } = 32;

    /// <summary>Time from the upgrade to <c>connection_init</c>.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan InitTimeout { get; set; } = TimeSpan.FromSeconds(5);
}
