using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.GraphQL;

/// <summary>What a document may ask for and a socket may hold. Section <c>GraphQL</c>.</summary>
internal sealed class GraphQLOptions
{
    public const string Section = "GraphQL";

    /// <summary>Whether who is signed in may read the schema. In the Development environment everybody may.</summary>
    public bool IntrospectionForUsers { get; set; }

    /// <summary>Whether GraphiQL is at <c>/graphql/ui</c> of the management address.</summary>
    public bool Playground { get; set; } = true;

    /// <summary>Levels of fields.</summary>
    [Range(1, 100)]
    public int MaxDepth { get; set; } = 10;

    /// <summary>Aliases in a document.</summary>
    [Range(0, 1000)]
    public int MaxAliases { get; set; } = 30;

    /// <summary>Lexical tokens of a document.</summary>
    [Range(10, 100_000)]
    public int MaxTokens { get; set; } = 1500;

    /// <summary>Characters of a document. What is long belongs into variables.</summary>
    [Range(100, 1_000_000)]
    public int MaxCharacters { get; set; } = 64 * 1024;

    /// <summary>Values in the JSON of a request.</summary>
    [Range(10, 1_000_000)]
    public int MaxValues { get; set; } = 5000;

    /// <summary>What the fields asked for may cost together: each costs 1 or what the schema says, times the length of the lists that it stands in.</summary>
    [Range(1, 1_000_000)]
    public int MaxCost { get; set; } = 20_000;

    /// <summary>Operations under way on one socket.</summary>
    [Range(1, 1000)]
    public int MaxOperations { get; set; } = 32;

    /// <summary>How long a socket may take to say who it is.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan InitTimeout { get; set; } = TimeSpan.FromSeconds(5);
}
