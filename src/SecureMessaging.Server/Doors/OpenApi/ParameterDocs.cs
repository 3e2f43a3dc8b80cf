using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>Describes parameters of path and query once, by name: a name means the same in every operation.</summary>
internal sealed class ParameterDocs(Limits limits)
{
    private readonly Dictionary<string, (string Description, JsonNode Example, Action<OpenApiSchema> Bound)> known = new(StringComparer.Ordinal)
    {
        ["id"] = ("The session.", Text(Examples.SessionId), Nothing),
        ["roomId"] = ("The room.", Text(Examples.RoomId), Nothing),
        ["userId"] = ("The account.", Text(Examples.BenId), Nothing),
        ["deviceId"] = ("The device.", Text(Examples.DeviceId), Nothing),
        ["username"] = ("The account's username, in any letter case.", JsonValue.Create("ben"), schema => schema.MaxLength = limits.UsernameCharacters),
        ["seq"] = ("The entry's position in the room's log.", JsonValue.Create(42), AtLeast(1)),
        ["afterSeq"] = ("Only entries with a greater seq. Pass the last seq that the caller has, or 0.", JsonValue.Create(41), AtLeast(0)),
        ["beforeSeq"] = ("Only entries with a smaller seq, the newest ones: for reading backwards.", JsonValue.Create(100), AtLeast(1)),
        ["after"] = ("Only lists with a greater number. Pass the number of the last list that the caller has, or 0.", JsonValue.Create(1), AtLeast(0)),
        ["limit"] = ($"The greatest number of entries. Values above {limits.PageEntries} mean {limits.PageEntries}.", JsonValue.Create(100), AtLeast(1)),
    };

    public void Describe(OpenApiOperation operation)
    {
        foreach (var parameter in operation.Parameters?.OfType<OpenApiParameter>() ?? [])
        {
            if (parameter.Name is null || !known.TryGetValue(parameter.Name, out var about))
                continue;
            (parameter.Description, parameter.Example) = (about.Description, about.Example.DeepClone());
            if (parameter.Schema is OpenApiSchema schema)
                about.Bound(schema);
        }
    }

    private static JsonValue Text(Guid id) => JsonValue.Create(id.ToString());

    private static void Nothing(OpenApiSchema schema)
    {
    }

    private static Action<OpenApiSchema> AtLeast(long least) => schema => schema.Minimum = least.ToString(CultureInfo.InvariantCulture);
}
