namespace SecureMessaging.Protocol;

/// <summary>Extensions of the enums of the contract.</summary>
public static class WireEnums
{
    /// <summary>The name of the value that a reader uses for unknown names.</summary>
    internal const string Unknown = nameof(EntryKind.Unknown);

    /// <summary>The values that may be sent: all except <c>Unknown</c>.</summary>
    public static IReadOnlyList<T> Known<T>()
        where T : struct, Enum => [.. Known(typeof(T)).Cast<T>()];

    /// <summary>The values that may be sent: all except <c>Unknown</c>.</summary>
    public static IReadOnlyList<object> Known(Type type) => [.. Enum.GetValues(type).Cast<object>().Where(value => value.ToString() != Unknown)];

    /// <summary>Whether the value may be sent.</summary>
    public static bool IsKnown<T>(this T value)
        where T : struct, Enum => Enum.IsDefined(value) && value.ToString() != Unknown;
}
