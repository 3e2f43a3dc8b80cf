using GraphQL;
using GraphQL.Types;
using GraphQLParser;
using GraphQLParser.AST;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// Bounds a document before any work that can take long: first its tokens, then depth, aliases and cost. Each fragment is measured once, however often it is
/// used. The check needs only names, so it runs before validation, whose rules are quadratic.
/// </summary>
internal sealed class DocumentLimits(ISchema schema, IOptions<GraphQLOptions> options, Limits limits)
{
    /// <summary>Nested lists of introspection. Clients use two (compare MaxIntrospectionDepthRule of graphql-js).</summary>
    private const int MaxIntrospectionLists = 3;
    private const int MaxIntrospectionDepth = 20;

    private readonly Lazy<Dictionary<string, (int Cost, int Size)>> prices = new(() => Prices(schema));

    public void CheckText(string text)
    {
        if (text.Length > options.Value.MaxCharacters)
            throw Exceeded("characters", options.Value.MaxCharacters);
        var (count, start) = (0, 0);
        ROM source = text;
        while (true)
        {
            var token = Lexer.Lex(source, start);
            if (token.Kind == TokenKind.EOF)
                return;
            if (++count > options.Value.MaxTokens)
                throw Exceeded("tokens", options.Value.MaxTokens);
            start = token.End;
        }
    }

    public int CheckDocument(GraphQLDocument document, Inputs variables)
    {
        var cost = 0.0;
        var walk = new Walk(document, variables, prices.Value, limits.PageEntries);
        foreach (var operation in document.Definitions.OfType<GraphQLOperationDefinition>())
        {
            var size = walk.Measure(operation.SelectionSet);
            if (size.Depth > options.Value.MaxDepth)
                throw Exceeded("levels", options.Value.MaxDepth);
            if (size.IntrospectionDepth > MaxIntrospectionDepth || size.IntrospectionLists >= MaxIntrospectionLists)
                throw Exceeded("levels of introspection", MaxIntrospectionDepth);
            CheckAliases(size);
            if (size.Cost > options.Value.MaxCost)
                throw new ApiException(ErrorCode.TooLarge, $"The operation costs {Math.Min(size.Cost, 1e12):F0}. The limit is {options.Value.MaxCost}.");
            cost = Math.Max(cost, size.Cost);
        }

        // Validation also compares the fields of unused fragments.
        foreach (var fragment in document.Definitions.OfType<GraphQLFragmentDefinition>())
            CheckAliases(walk.Measure(fragment.SelectionSet));
        return (int)cost;
    }

    private void CheckAliases(Size size)
    {
        if (size.Aliases > options.Value.MaxAliases)
            throw Exceeded("aliases and repeated fields", options.Value.MaxAliases);
    }

    private static ApiException Exceeded(string what, int most) => new(ErrorCode.TooLarge, $"A document may have at most {most} {what}.");

    /// <summary>If fields of several types share a name, the highest price counts.</summary>
    private static Dictionary<string, (int Cost, int Size)> Prices(ISchema schema)
    {
        schema.Initialize();
        var known = new Dictionary<string, (int Cost, int Size)>(StringComparer.Ordinal);
        foreach (var field in schema.AllTypes.OfType<IObjectGraphType>().SelectMany(type => type.Fields))
        {
            var (cost, size) = field.Price();
            var other = known.GetValueOrDefault(field.Name, (1, 1));
            known[field.Name] = (Math.Max(other.Item1, cost), Math.Max(other.Item2, size));
        }

        return known;
    }

    private readonly record struct Size(int Depth, double Cost, double Aliases, int IntrospectionDepth, int IntrospectionLists)
    {
        public Size And(Size other) => new(
            Math.Max(Depth, other.Depth), Cost + other.Cost, Aliases + other.Aliases, Math.Max(IntrospectionDepth, other.IntrospectionDepth),
            Math.Max(IntrospectionLists, other.IntrospectionLists));
    }

    private sealed class Walk
    {
        private readonly Dictionary<string, GraphQLFragmentDefinition> fragments = new(StringComparer.Ordinal);
        private readonly Dictionary<string, Size?> measured = new(StringComparer.Ordinal);
        private readonly Inputs variables;
        private readonly Dictionary<string, (int Cost, int Size)> prices;
        private readonly int longest;

        public Walk(GraphQLDocument document, Inputs variables, Dictionary<string, (int Cost, int Size)> prices, int longest)
        {
            (this.variables, this.prices, this.longest) = (variables, prices, longest);
            foreach (var fragment in document.Definitions.OfType<GraphQLFragmentDefinition>())
                fragments.TryAdd(fragment.FragmentName.Name.StringValue, fragment);
        }

        public Size Measure(GraphQLSelectionSet? set)
        {
            var size = default(Size);
            foreach (var selection in set?.Selections ?? [])
            {
                size = size.And(selection switch
                {
                    GraphQLField field => Measure(field),
                    GraphQLInlineFragment inline => Measure(inline.SelectionSet),
                    GraphQLFragmentSpread spread => MeasureFragment(spread.FragmentName.Name.StringValue),
                    _ => default,
                });
            }

            return set is { Selections.Count: > 1 } ? size with { Aliases = size.Aliases + Repeats(set, new HashSet<string>(StringComparer.Ordinal)) } : size;
        }

        /// <summary>
        /// Fields whose name occurs earlier in the selection. Validation compares all pairs and reports each one, so that without this bound a document of 3 KB
        /// could cause a response of several MB.
        /// </summary>
        private static int Repeats(GraphQLSelectionSet set, HashSet<string> names)
        {
            var count = 0;
            foreach (var selection in set.Selections)
            {
                count += selection switch
                {
                    GraphQLField field => names.Add((field.Alias?.Name ?? field.Name).StringValue) ? 0 : 1,
                    GraphQLInlineFragment inline => Repeats(inline.SelectionSet, names),
                    _ => 0,
                };
            }

            return count;
        }

        private Size Measure(GraphQLField field)
        {
            var name = field.Name.StringValue;
            var inner = Measure(field.SelectionSet);
            var aliases = inner.Aliases + (field.Alias is null ? 0 : 1);
            var (cost, size) = prices.GetValueOrDefault(name, (1, 1));
            // Introspection is counted apart: it is deeper than data and needs no SQL statement.
            if (name is "__schema" or "__type")
                return new Size(1, 10 + inner.Cost, aliases, inner.Depth, inner.IntrospectionLists);
            var isList = name is "fields" or "interfaces" or "possibleTypes" or "inputFields";
            return new Size(
                inner.Depth + 1, cost + (Length(field, size) * inner.Cost), aliases, inner.IntrospectionDepth, inner.IntrospectionLists + (isList ? 1 : 0));
        }

        private Size MeasureFragment(string name)
        {
            if (measured.TryGetValue(name, out var known))
                return known ?? throw ApiException.Invalid("A fragment refers to itself.");
            if (!fragments.TryGetValue(name, out var fragment))
                return default;
            measured[name] = null;
            var size = Measure(fragment.SelectionSet);
            measured[name] = size;
            return size;
        }

        /// <summary>The length that the field requests, or else its usual length.</summary>
        private long Length(GraphQLField field, int usual)
        {
            foreach (var argument in field.Arguments?.Items ?? [])
            {
                if (argument.Name.Value != "first" && argument.Name.Value != "last")
                    continue;
                long? asked = argument.Value switch
                {
                    GraphQLIntValue number when long.TryParse(number.Value.Span, out var literal) => literal,
                    GraphQLVariable variable when variables.TryGetValue(variable.Name.StringValue, out var given) =>
                        given switch { int small => small, long large => large, _ => null },
                    GraphQLVariable => longest,
                    _ => null,
                };
                if (asked is { } length)
                    return Math.Clamp(length, 1, longest);
            }

            return usual;
        }
    }
}
