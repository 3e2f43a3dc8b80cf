using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.OpenApi;

/// <summary>Parameters of path and query mean the same wherever they stand, so they are described once, by name.</summary>
internal sealed class ParameterDocs(Limits limits)
{
    private readonly Dictionary<string, (string Description, JsonNode Example, Action<OpenApiSchema> Bound)> known = new(StringComparer.Ordinal)
    {
        ["id"] = ("The session.", Text(Examples.SessionId), Nothing),
        ["roomId"] = ("The room.", Text(Examples.RoomId), Nothing),
        ["userId"] = ("The account.", Text(Examples.BenId), Nothing),
        ["deviceId"] = ("The device.", Text(Examples.DeviceId), Nothing),
        ["username"] = ("The account's username, in any case.", JsonValue.Create("ben"), schema => schema.MaxLength = limits.UsernameCharacters),
        ["seq"] = ("The entry's place in the room's log.", JsonValue.Create(42), AtLeast(1)),
        ["afterSeq"] = ("Only entries after this one. The last seq that the caller has, 0 for none.", JsonValue.Create(41), AtLeast(0)),
        ["beforeSeq"] = ("Only entries before this one, the newest of them: for reading backwards.", JsonValue.Create(100), AtLeast(1)),
        ["limit"] = ($"Entries at most. More than {limits.PageEntries} are as {limits.PageEntries}.", JsonValue.Create(100), AtLeast(1)),
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
