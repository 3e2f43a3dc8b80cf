using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace SecureMessaging.Protocol;

/// <summary>A request in which a member that is absent means something else than one that is null (RFC 7396).</summary>
public interface IPatch
{
    /// <summary>Whether the member of this name, as JSON has it, is in the patch.</summary>
    bool Has(string member);
}

/// <summary>How the records of this assembly are written as JSON: camelCase names, base64 bytes, enum values as the contract names them.</summary>
public static class Wire
{
    /// <summary>The path of the hub.</summary>
    public const string HubPath = "/hubs/chat";

    /// <summary>The path of the hub for administrators of the server; JSON only.</summary>
    public const string AdminHubPath = "/hubs/admin";

    /// <summary>The WebSocket query parameter that carries a <see cref="TicketResponse.Ticket"/>.</summary>
    public const string TicketParameter = "ticket";

    /// <summary>Options of a client for reading and writing the records of this assembly.</summary>
    public static JsonSerializerOptions Json { get; } = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    /// <summary>
    /// Applies the contract's rules to a framework's own options. Readers tolerate what they do not know: unknown fields are ignored, and a name that an enum
    /// lacks becomes its <c>Unknown</c>.
    /// </summary>
    /// <param name="options">What to configure.</param>
    /// <param name="strict">For the server: unknown names in requests are refused.</param>
    public static JsonSerializerOptions Configure(JsonSerializerOptions options, bool strict = false)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.NumberHandling = JsonNumberHandling.Strict;
        // An unknown field of a later version may be deep; a request has no reason to be.
        options.MaxDepth = strict ? 16 : 64;
        options.AllowDuplicateProperties = false;
        options.RespectNullableAnnotations = true;
        options.RespectRequiredConstructorParameters = true;
        options.TypeInfoResolver = (options.TypeInfoResolver ?? new DefaultJsonTypeInfoResolver()).WithAddedModifier(AllowNullToBeAbsent);
        AddEnum<ErrorCode>(options, null, strict);
        AddEnum<EntryKind>(options, JsonNamingPolicy.CamelCase, strict);
        AddEnum<RoomKind>(options, JsonNamingPolicy.CamelCase, strict);
        AddEnum<RoomRole>(options, JsonNamingPolicy.CamelCase, strict);
        AddEnum<RoomChange>(options, JsonNamingPolicy.CamelCase, strict);
        AddEnum<SessionEndReason>(options, JsonNamingPolicy.CamelCase, strict);
        AddEnum<LogSeverity>(options, JsonNamingPolicy.CamelCase, strict);
        AddEnum<NotificationPriority>(options, JsonNamingPolicy.CamelCase, strict);
        return options;
    }

    private static void AddEnum<T>(JsonSerializerOptions options, JsonNamingPolicy? naming, bool strict)
        where T : struct, Enum => options.Converters.Add(new WireEnumConverter<T>(naming, strict));

    /// <summary>Nulls are left out when writing, so what may be null need not be there when reading.</summary>
    private static void AllowNullToBeAbsent(JsonTypeInfo type)
    {
        foreach (var property in type.Properties)
        {
            if (property.AssociatedParameter is { IsNullable: true })
                property.IsRequired = false;
            // Of a patch null says something, and only what was set is written.
            if (type.Type.IsAssignableTo(typeof(IPatch)))
                property.ShouldSerialize = (patch, _) => ((IPatch)patch).Has(property.Name);
        }
    }
}
