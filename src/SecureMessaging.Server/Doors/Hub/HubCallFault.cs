using System.Buffers;
using System.Text.Json;
using System.Text.RegularExpressions;
using MessagePack;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.Hub;

/// <summary>Describes which argument of a hub call, or which member of it, is wrong.</summary>
internal static partial class HubCallFault
{
    private const byte RecordSeparator = 0x1e;

    private static readonly JsonSerializerOptions AsServer = Wire.Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web), strict: true);

    public static FieldError[]? Find(
        InvocationBindingFailureMessage failure, in ReadOnlySequence<byte> frame, IInvocationBinder binder, TransferFormat format)
    {
        if ((typeof(IChatHub).GetMethod(failure.Target) ?? typeof(IAdminHub).GetMethod(failure.Target)) is not { } method)
            return null;
        var names = method.GetParameters().Select(parameter => parameter.Name!).ToArray();
        if (format == TransferFormat.Binary)
            return FindInMessagePack(names, frame, binder.GetParameterTypes(failure.Target));
        for (Exception? cause = failure.BindingFailure.SourceException; cause is not null; cause = cause.InnerException)
        {
            if (cause is JsonException)
                return FindInJson(names, frame, binder.GetParameterTypes(failure.Target));
        }

        return null;
    }

    private static FieldError[]? FindInJson(string[] names, in ReadOnlySequence<byte> frame, IReadOnlyList<Type> types)
    {
        using var call = JsonDocument.Parse(frame.Slice(0, frame.PositionOf(RecordSeparator) ?? frame.End));
        if (!call.RootElement.TryGetProperty("arguments", out var arguments)
            || arguments.ValueKind != JsonValueKind.Array
            || arguments.GetArrayLength() != types.Count)
        {
            return null;
        }

        for (var i = 0; i < types.Count; i++)
        {
            try
            {
                arguments[i].Deserialize(types[i], AsServer);
            }
            catch (InvalidOperationException)
            {
                // Invalid Unicode, such as half a surrogate pair.
                return [new FieldError($"{names[i]} cannot be read.", Parameter: names[i])];
            }
            catch (JsonException exception)
            {
                var errors = JsonFault.Describe(exception, types[i]).Errors!;
                var whole = new FieldError($"{names[i]} {JsonFault.Expectation(types[i])}.", Parameter: names[i]);
                return Array.ConvertAll(errors, error => error.Pointer == "#" ? whole : error);
            }
        }

        return null;
    }

    private static FieldError[]? FindInMessagePack(string[] names, in ReadOnlySequence<byte> frame, IReadOnlyList<Type> types)
    {
        try
        {
            var length = new SequenceReader<byte>(frame);
            while (length.TryRead(out var part) && part >= 0x80)
            {
                // The length of the message, in groups of seven bits.
            }

            // The call: type, headers, id, target, arguments.
            var reader = new MessagePackReader(length.UnreadSequence);
            reader.ReadArrayHeader();
            for (var i = 0; i < 4; i++)
                reader.Skip();
            if (reader.ReadArrayHeader() != types.Count)
                return null;
            for (var i = 0; i < types.Count; i++)
            {
                if (Check(types[i], reader.ReadRaw(), "") is not var (path, detail))
                    continue;
                return path.Length == 0
                    ? [new FieldError($"{names[i]} {detail}.", Parameter: names[i])]
                    : [new FieldError($"{path[1..]} {detail}.", $"#{path}")];
            }
        }
        catch (Exception exception) when (exception is MessagePackSerializationException or EndOfStreamException)
        {
            // The frame itself is not MessagePack.
        }

        return null;
    }

    /// <summary>The innermost wrong value, as a JSON Pointer. Null: the value can be read.</summary>
    private static (string Path, string Detail)? Check(Type type, in ReadOnlySequence<byte> value, string path)
    {
        var key = Match.Empty;
        try
        {
            MessagePackSerializer.Deserialize(type, value, WireMessagePack.Strict);
            return null;
        }
        catch (MessagePackSerializationException exception)
        {
            for (Exception? cause = exception; cause is not null && !key.Success; cause = cause.InnerException)
                key = Key().Match(cause.Message);
        }

        var reader = new MessagePackReader(value);
        if (type.IsArray && type != typeof(byte[]) && reader.NextMessagePackType == MessagePackType.Array)
        {
            var count = reader.ReadArrayHeader();
            for (var i = 0; i < count; i++)
            {
                if (Check(type.GetElementType()!, reader.ReadRaw(), $"{path}/{i}") is { } error)
                    return error;
            }
        }
        else if (key.Success)
        {
            return ($"{path}/{key.Groups["name"].Value}", key.Groups["twice"].Success ? "must be given once" : "must be given");
        }
        else if (reader.NextMessagePackType == MessagePackType.Map && Wire.Json.TryGetTypeInfo(type, out var info))
        {
            for (var left = reader.ReadMapHeader(); left > 0; left--)
            {
                var name = reader.ReadString();
                var member = reader.ReadRaw();
                if (info.Properties.FirstOrDefault(property => property.Name == name)?.PropertyType is not { } declared)
                    continue;
                var required = Nullable.GetUnderlyingType(declared);
                var isNull = required is not null && new MessagePackReader(member).IsNil;
                if (!isNull && Check(required ?? declared, member, $"{path}/{name}") is { } error)
                    return error;
            }
        }

        return (path, type == typeof(byte[]) ? "must be bytes" : JsonFault.Expectation(type));
    }

    /// <summary>Messages of <c>WireMap</c>, whose names are those of the contract.</summary>
    [GeneratedRegex(@"^'(?<name>\w+)' is (missing|(?<twice>given twice))\.$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Key();
}
