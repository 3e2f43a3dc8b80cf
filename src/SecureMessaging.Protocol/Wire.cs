using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace SecureMessaging.Protocol;

/// <summary>
/// A request in which a missing member and a null member differ (RFC 7396). A nullable member <c>X</c> has a property <c>HasX</c>: whether the request contains
/// it, so that it is written.
/// </summary>
public interface IPatch;

/// <summary>The JSON of the contract: camelCase names, base64 bytes, enum values by name.</summary>
public static class Wire
{
    /// <summary>The path of the hub.</summary>
    public const string HubPath = "/hubs/chat";

    /// <summary>The path of the hub for administrators of the server; JSON only.</summary>
    public const string AdminHubPath = "/hubs/admin";

    /// <summary>The WebSocket query parameter that carries a <see cref="TicketResponse.Ticket"/>.</summary>
    public const string TicketParameter = "ticket";

    /// <summary>The options of a client.</summary>
    public static JsonSerializerOptions Json { get; } = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    /// <summary>
    /// Applies the rules of the contract to the options of a framework. A reader ignores unknown fields, and reads an unknown enum name as
    /// <c>Unknown</c>.
    /// </summary>
    /// <param name="options">The options to change.</param>
    /// <param name="strict">For the server: unknown enum names are rejected.</param>
    public static JsonSerializerOptions Configure(JsonSerializerOptions options, bool strict = false)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.NumberHandling = JsonNumberHandling.Strict;
        // Unknown fields of a later version may be nested deeply; requests are not.
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

    /// <summary>Writers omit nulls, so readers do not require nullable members.</summary>
    private static void AllowNullToBeAbsent(JsonTypeInfo type)
    {
        foreach (var property in type.Properties)
        {
            if (property.AssociatedParameter is { IsNullable: true })
                property.IsRequired = false;
            // In a patch null has a meaning, and only members that were set are written.
            if (type.Type.IsAssignableTo(typeof(IPatch)) && property.AttributeProvider is PropertyInfo { Name: var name }
                && type.Type.GetProperty($"Has{name}") is { } has)
                property.ShouldSerialize = (patch, _) => has.GetValue(patch) is true;
        }
    }
}
