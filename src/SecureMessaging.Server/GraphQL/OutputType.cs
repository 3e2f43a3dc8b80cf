using GraphQL.Builders;
using GraphQL.Types;

namespace SecureMessaging.Server.GraphQL;

/// <summary>An object type whose fields are said in one line each.</summary>
internal class OutputType<TSource> : ObjectGraphType<TSource>
{
    public OutputType(string name, string description) => (Name, Description) = (name, description);

    public FieldBuilder<TSource, object> Required<TGraph>(string name, string description)
        where TGraph : IGraphType => Field<NonNullGraphType<TGraph>>(name).Description(description);

    public FieldBuilder<TSource, object> Optional<TGraph>(string name, string description)
        where TGraph : IGraphType => Field<TGraph>(name).Description(description);

    /// <param name="name">The field.</param>
    /// <param name="description">What it is.</param>
    /// <param name="size">How many there are, more or less: what is asked of each of them costs that many times.</param>
    public FieldBuilder<TSource, object> Many<TGraph>(string name, string description, int size)
        where TGraph : IGraphType => Required<ListGraphType<NonNullGraphType<TGraph>>>(name, description).Costs(1, size);

    public void Value<TGraph>(string name, Func<TSource, object?> value, string description)
        where TGraph : IGraphType => Required<TGraph>(name, description).Resolve(context => value(context.Source));

    public void Nullable<TGraph>(string name, Func<TSource, object?> value, string description)
        where TGraph : IGraphType => Optional<TGraph>(name, description).Resolve(context => value(context.Source));
}

/// <summary>What the schema says about its fields beside their types.</summary>
internal static class FieldNotes
{
    private const string OpenNote = "open";
    private const string CostNote = "cost";
    private const string SizeNote = "size";

    /// <summary>Nobody needs to be signed in for it. What is not open is closed.</summary>
    public static FieldBuilder<TSource, TReturn> Open<TSource, TReturn>(this FieldBuilder<TSource, TReturn> field) => field.Configure(type => type.Metadata[OpenNote] = true);

    public static FieldBuilder<TSource, TReturn> Costs<TSource, TReturn>(this FieldBuilder<TSource, TReturn> field, int cost, int size = 1) =>
        field.Configure(type => (type.Metadata[CostNote], type.Metadata[SizeNote]) = (cost, size));

    public static bool IsOpen(this FieldType field) => field.Metadata.ContainsKey(OpenNote);

    public static (int Cost, int Size) Price(this FieldType field) =>
        (field.Metadata.TryGetValue(CostNote, out var cost) ? (int)cost! : 1, field.Metadata.TryGetValue(SizeNote, out var size) ? (int)size! : 1);
}

/// <summary>Adds fields of one area to the roots of the schema.</summary>
internal interface IRootFields
{
    void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription);
}
