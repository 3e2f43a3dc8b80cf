using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>One setting. All settings are found in the option classes, whose constant <c>Section</c> names their section.</summary>
/// <param name="Name"><c>Section:Name</c>.</param>
/// <param name="Type">The value's type; for a list, that of an item.</param>
/// <param name="IsList">Whether a number follows the name: <c>Section:Name:0</c>.</param>
/// <param name="Default">The value if it is not set.</param>
/// <param name="Rules">Validation of the value.</param>
internal sealed record Setting(string Name, Type Type, bool IsList, object? Default, ValidationAttribute[] Rules)
{
    private const string SectionConstant = "Section";

    public static IReadOnlyDictionary<string, Setting> All { get; } = Find().ToDictionary(setting => setting.Name, StringComparer.OrdinalIgnoreCase);

    public static IReadOnlyCollection<string> Sections { get; } =
        [.. All.Keys.Where(name => name.Contains(':')).Select(name => name[..name.IndexOf(':')]).Distinct(StringComparer.OrdinalIgnoreCase)];

    public bool IsSecret => Name.StartsWith("ConnectionStrings:", StringComparison.Ordinal);

    public string? Refuse(string text)
    {
        object? value;
        try
        {
            value = TypeDescriptor.GetConverter(Type).ConvertFromInvariantString(text);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or NotSupportedException or OverflowException)
        {
            return $"{Name} is \"{text}\", and takes {Kind()}.";
        }

        var broken = Array.Find(Rules, rule => !rule.IsValid(value));
        return broken switch
        {
            null => null,
            RequiredAttribute => $"{Name} must not be empty.",
            RangeAttribute range => string.Create(CultureInfo.InvariantCulture, $"{Name} is {text}, and takes {range.Minimum} to {range.Maximum}."),
            RegularExpressionAttribute expression => $"{Name} is \"{text}\", and takes what matches {expression.Pattern}",
            _ => broken.FormatErrorMessage(Name),
        };
    }

    private string Kind()
    {
        var type = Nullable.GetUnderlyingType(Type) ?? Type;
        return type == typeof(bool) ? "true or false"
            : type == typeof(TimeSpan) ? "a time such as 00:01:00 (a minute)"
            : type == typeof(double) ? "a number"
            : type.IsEnum ? $"one of {string.Join(", ", Enum.GetNames(type))}"
            : "a whole number";
    }

    private static IEnumerable<Setting> Find()
    {
        yield return new Setting("urls", typeof(string), IsList: false, ServerOptions.DefaultUrl, []);
        yield return new Setting("ConnectionStrings:Postgres", typeof(string), IsList: false, null, []);
        yield return new Setting("ConnectionStrings:Redis", typeof(string), IsList: false, null, []);
        foreach (var limit in Of("Limits", Limits.Default))
            yield return limit;
        foreach (var type in typeof(Setting).Assembly.GetTypes())
        {
            if (type.Name.EndsWith("Options", StringComparison.Ordinal) && type.GetField(SectionConstant)?.GetRawConstantValue() is string section)
            {
                foreach (var setting in Of(section, Activator.CreateInstance(type)!))
                    yield return setting;
            }
        }
    }

    private static IEnumerable<Setting> Of(string prefix, object options)
    {
        foreach (var property in options.GetType().GetProperties())
        {
            var (name, value) = ($"{prefix}:{property.Name}", property.CanRead ? property.GetValue(options) : null);
            ValidationAttribute[] rules = [.. property.GetCustomAttributes<ValidationAttribute>()];
            if (value is IList<string>)
                yield return new Setting(name, typeof(string), IsList: true, null, []);
            else if (!property.CanWrite)
                continue;
            else if (property.PropertyType.IsValueType || property.PropertyType == typeof(string))
                yield return new Setting(name, property.PropertyType, IsList: false, value, rules);
            else if (value is not null)
            {
                foreach (var inner in Of(name, value))
                    yield return inner;
            }
        }
    }
}
