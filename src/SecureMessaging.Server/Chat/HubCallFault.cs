using System.Buffers;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Chat;

/// <summary>Says which argument of a hub call, or which member of it, could not be read.</summary>
internal static partial class HubCallFault
{
    private const byte RecordSeparator = 0x1e;

    private static readonly JsonSerializerOptions AsServer = Wire.Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web), strict: true);

    /// <param name="failure">What the hub protocol made of the call.</param>
    /// <param name="frame">The call as it came.</param>
    /// <param name="binder">Knows the methods of the hub.</param>
    public static FieldError[]? Find(InvocationBindingFailureMessage failure, in ReadOnlySequence<byte> frame, IInvocationBinder binder)
    {
        if (typeof(IChatHub).GetMethod(failure.Target) is not { } method)
            return null;
        for (Exception? cause = failure.BindingFailure.SourceException; cause is not null; cause = cause.InnerException)
        {
            if (cause is JsonException)
                return FindInJson(method.GetParameters().Select(parameter => parameter.Name!).ToArray(), frame, binder.GetParameterTypes(failure.Target));
            if (Key().Match(cause.Message) is { Success: true } key)
                return [new FieldError($"{key.Groups["name"].Value} {(key.Groups["twice"].Success ? "must be given once" : "must be given")}.", $"#/{key.Groups["name"].Value}")];
        }

        return null;
    }

    /// <summary>The hub protocol does not say which argument it was, so each is read once more.</summary>
    private static FieldError[]? FindInJson(string[] names, in ReadOnlySequence<byte> frame, IReadOnlyList<Type> types)
    {
        using var call = JsonDocument.Parse(frame.Slice(0, frame.PositionOf(RecordSeparator) ?? frame.End));
        if (!call.RootElement.TryGetProperty("arguments", out var arguments) || arguments.ValueKind != JsonValueKind.Array || arguments.GetArrayLength() != types.Count)
            return null;
        for (var i = 0; i < types.Count; i++)
        {
            try
            {
                arguments[i].Deserialize(types[i], AsServer);
            }
            catch (InvalidOperationException)
            {
                // Text that is none, such as half a surrogate pair.
                return [new FieldError($"{names[i]} cannot be read.", Parameter: names[i])];
            }
            catch (JsonException exception)
            {
                var errors = JsonFault.Describe(exception, types[i]).Errors!;
                return Array.ConvertAll(errors, error => error.Pointer == "#" ? new FieldError($"{names[i]} {JsonFault.Expectation(types[i])}.", Parameter: names[i]) : error);
            }
        }

        return null;
    }

    /// <summary>Texts of <c>WireMap</c>, whose names are those of the contract.</summary>
    [GeneratedRegex(@"^'(?<name>\w+)' is (missing|(?<twice>given twice))\.$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Key();
}
