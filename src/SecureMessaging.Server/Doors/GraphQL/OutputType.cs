using GraphQL;
using GraphQL.Builders;
using GraphQL.Types;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>An object type with one line for each field.</summary>
internal class OutputType<TSource> : ObjectGraphType<TSource>
{
    public OutputType(string name, string description) => (Name, Description) = (name, description);

    public FieldBuilder<TSource, object> Required<TGraph>(string name, string description)
        where TGraph : IGraphType => Field<NonNullGraphType<TGraph>>(name).Description(description);

    public FieldBuilder<TSource, object> Optional<TGraph>(string name, string description)
        where TGraph : IGraphType => Field<TGraph>(name).Description(description);

    /// <param name="name">The field.</param>
    /// <param name="description">Its description in the schema.</param>
    /// <param name="size">The usual length of the list. The cost of its inner fields is multiplied by it.</param>
    public FieldBuilder<TSource, object> Many<TGraph>(string name, string description, int size)
        where TGraph : IGraphType => Required<ListGraphType<NonNullGraphType<TGraph>>>(name, description).Costs(1, size);

    public void Value<TGraph>(string name, Func<TSource, object?> value, string description)
        where TGraph : IGraphType => Required<TGraph>(name, description).Resolve(context => value(context.Source));

    public void Nullable<TGraph>(string name, Func<TSource, object?> value, string description)
        where TGraph : IGraphType => Optional<TGraph>(name, description).Resolve(context => value(context.Source));
}

internal static class FieldNotes
{
    private const string OpenNote = "open";
    private const string CostNote = "cost";
    private const string SizeNote = "size";

    /// <summary>The field needs no sign-in. Every other root field does.</summary>
    public static FieldBuilder<TSource, TReturn> Open<TSource, TReturn>(this FieldBuilder<TSource, TReturn> field) =>
        field.Configure(type => type.Metadata[OpenNote] = true);

    public static FieldBuilder<TSource, TReturn> Costs<TSource, TReturn>(this FieldBuilder<TSource, TReturn> field, int cost, int size = 1) =>
        field.Configure(type => (type.Metadata[CostNote], type.Metadata[SizeNote]) = (cost, size));

    /// <summary>Resolves to true once the operation has succeeded.</summary>
    public static void ResolveDoneAsync<TSource, TReturn>(this FieldBuilder<TSource, TReturn> field, Func<IResolveFieldContext<TSource>, Task> operation) =>
        field.Returns<bool>().ResolveAsync(async context =>
        {
            await operation(context);
            return true;
        });

    public static bool IsOpen(this FieldType field) => field.Metadata.ContainsKey(OpenNote);

    public static (int Cost, int Size) Price(this FieldType field) =>
        (field.Metadata.TryGetValue(CostNote, out var cost) ? (int)cost! : 1, field.Metadata.TryGetValue(SizeNote, out var size) ? (int)size! : 1);
}

internal interface IRootFields
{
    void AddTo(OutputType<object> query, OutputType<object> mutation, OutputType<object> subscription);
}
