using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>
/// Describes which member of a JSON text is wrong and what it must be. The serializer's own message would name types of the source.
/// </summary>
internal static partial class JsonFault
{
    /// <summary>Longer paths are omitted, because a client can make up names of any length.</summary>
    private const int MaxPath = 200;

    public static ErrorBody Describe(JsonException exception, Type? type)
    {
        var path = Segments(exception.Path);
        if (exception.InnerException is JsonException)
            return Refuse([new FieldError($"is not valid JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}", Pointer(path))]);
        if (Missing().Match(exception.Message) is { Success: true } missing)
            return Refuse([.. Quoted().Matches(missing.Value).Select(name => new FieldError("must be given", Pointer([.. path, name.Groups["name"].Value])))]);
        if (Twice().Match(exception.Message) is { Success: true } twice)
        {
            var name = twice.Groups["name"].Value;
            return Refuse([new FieldError("must be given once", Pointer(path is [.., var last] && last == name ? path : [.. path, name]))]);
        }

        if (Null().Match(exception.Message) is { Success: true } none)
        {
            var name = none.Groups["name"].Value;
            var isNamed = path is [.., var last] && last.Equals(name, StringComparison.OrdinalIgnoreCase);
            return Refuse([new FieldError("must not be null", Pointer(isNamed ? path : [.. path, name]))]);
        }

        return Refuse([new FieldError(Expectation(type, path), Pointer(path))]);
    }

    public static string Expectation(Type? type)
    {
        if (type is null)
            return "cannot be read";
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type switch
        {
            _ when type == typeof(string) => "must be a string",
            _ when type == typeof(Guid) => "must be a UUID",
            _ when type == typeof(byte[]) => "must be base64 with padding",
            _ when type == typeof(bool) => "must be true or false",
            _ when type == typeof(int) || type == typeof(long) => "must be a whole number",
            _ when type.IsEnum =>
                $"must be {string.Join(" or ", WireEnums.Known(type).Select(value => JsonSerializer.Serialize(value, type, Wire.Json).Trim('"')))}",
            _ when type.IsArray => "must be an array",
            _ => "must be an object",
        };
    }

    private static ErrorBody Refuse(FieldError[] errors)
    {
        errors = Array.ConvertAll(errors, error => error with { Detail = $"{(error.Pointer is ['#', '/', .. var name] ? name : "The body")} {error.Detail}." });
        return new ErrorBody(ErrorCode.Invalid, string.Join(' ', errors.Select(error => error.Detail)), Retryable: false, Errors: errors);
    }

    private static string Expectation(Type? type, string[] path)
    {
        foreach (var segment in path)
        {
            if (type is null || !Wire.Json.TryGetTypeInfo(type, out var info))
                return Expectation(null);
            type = info.Kind == JsonTypeInfoKind.Enumerable ? info.ElementType
                : info.Properties.FirstOrDefault(property => property.Name.Equals(segment, StringComparison.OrdinalIgnoreCase))?.PropertyType;
        }

        return Expectation(type);
    }

    private static string Pointer(string[] path) => path.Length == 0 ? "#" : "#/" + string.Join('/', path.Select(
        segment => Uri.EscapeDataString(segment.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal))));

    private static string[] Segments(string? path) => path is { Length: <= MaxPath }
        ? [.. Segment().Matches(path).Select(match => match.Groups["name"].Value)]
        : [];

    [GeneratedRegex(@"\.(?<name>[^.\[]+)|\[(?<name>\d+)\]|\['(?<name>[^']*)'\]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Segment();

    [GeneratedRegex("(?<=missing required properties[^:]*: ).*", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Missing();

    [GeneratedRegex("'(?<name>[^']+)'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Quoted();

    [GeneratedRegex("^Duplicate property '(?<name>[^']{1,100})'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Twice();

    [GeneratedRegex("(parameter|property|field) '(?<name>[^']{1,100})'.* (null|Null)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Null();
}
