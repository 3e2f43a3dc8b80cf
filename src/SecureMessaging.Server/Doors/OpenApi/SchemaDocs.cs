using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Encryption;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Notifications;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Rooms;
using SecureMessaging.Server.Trust;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>
/// Adds the limits of the contract to the schemas of its records, and marks the required fields. The checks read the same limits and constants.
/// </summary>
internal sealed class SchemaDocs : IOpenApiSchemaTransformer
{
    private const int KeyBytes = DeviceCredential.KeyLength;
    private const int SignatureBytes = DeviceCredential.SignatureLength;

    private readonly Dictionary<(Type Record, string Field), Action<OpenApiSchema>> bounds;

    public SchemaDocs(Limits limits)
    {
        var (name, password) = (Bytes(0, limits.NameBytes), Secret(0, limits.PasswordMaxCharacters));
        var (newPassword, timeToLive) = (
            Secret(limits.PasswordMinCharacters, limits.PasswordMaxCharacters), Range(limits.TimeToLiveMinSeconds, limits.TimeToLiveMaxSeconds));
        var (email, handshake, minute) = (
            Text(AccountRules.EmailMinCharacters, limits.EmailCharacters), Bytes(1, limits.HandshakeBytes), Range(0, NotificationRules.MinutesOfDay - 1));
        var position = Range(0, Positions.Most);
        bounds = new()
        {
            [(typeof(SignUpRequest), "username")] = Text(AccountRules.UsernameMinCharacters, limits.UsernameCharacters, AccountRules.UsernamePattern),
            [(typeof(SignUpRequest), "email")] = email,
            [(typeof(SignUpRequest), "password")] = newPassword,
            [(typeof(TokenRequest), "username")] = Text(1, limits.EmailCharacters),
            [(typeof(TokenRequest), "password")] = password,
            [(typeof(UpdateProfileRequest), "email")] = email,
            [(typeof(UpdateProfileRequest), "password")] = password,
            [(typeof(ChangePasswordRequest), "currentPassword")] = password,
            [(typeof(ChangePasswordRequest), "newPassword")] = newPassword,
            [(typeof(DeleteAccountRequest), "password")] = password,
            [(typeof(LabelSessionRequest), "label")] = name,
            [(typeof(NotificationSettings), "quietFrom")] = minute,
            [(typeof(NotificationSettings), "quietUntil")] = minute,
            [(typeof(NotificationSettings), "timeZone")] = Text(1, TimeZones.MaxCharacters),
            [(typeof(RegisterPushRequest), "endpoint")] = Text(1, limits.PushEndpointCharacters),
            [(typeof(CreateRoomRequest), "members")] = Items(0, limits.RoomMembers - 1),
            [(typeof(CreateRoomRequest), "name")] = name,
            [(typeof(CreateRoomRequest), "timeToLiveSeconds")] = timeToLive,
            [(typeof(CreateRoomRequest), "scheme")] = Text(1, RoomOperations.SchemeCharacters, RoomOperations.SchemePattern),
            [(typeof(CreateRoomRequest), "founding")] = Bytes(1, Founding.MostBytes),
            [(typeof(CreateRoomRequest), "userIds")] = Items(0, limits.RoomMembers - 1),
            [(typeof(ChangeRoomRequest), "name")] = name,
            [(typeof(ChangeRoomRequest), "timeToLiveSeconds")] = timeToLive,
            [(typeof(SendRequest), "ciphertext")] = Bytes(1, limits.CiphertextBytes),
            [(typeof(SendRequest), "timeToLiveSeconds")] = timeToLive,
            [(typeof(SendRequest), "epoch")] = position,
            [(typeof(MarkDeliveredRequest), "seq")] = position,
            [(typeof(SignalRequest), "signal")] = Bytes(1, limits.SignalBytes),
            [(typeof(RegisterDeviceRequest), "signatureKey")] = Bytes(KeyBytes, KeyBytes),
            [(typeof(RegisterDeviceRequest), "linkKey")] = Bytes(KeyBytes, KeyBytes),
            [(typeof(RegisterDeviceRequest), "identityKey")] = Bytes(KeyBytes, KeyBytes),
            [(typeof(RegisterDeviceRequest), "identitySignature")] = Bytes(SignatureBytes, SignatureBytes),
            [(typeof(RegisterDeviceRequest), "name")] = name,
            [(typeof(RegisterDeviceRequest), "scheme")] = schema => schema.Enum = [JsonValue.Create(Schemes.Mls10)],
            [(typeof(ApproveDeviceRequest), "identitySignature")] = Bytes(SignatureBytes, SignatureBytes),
            [(typeof(ApproveDeviceRequest), "sealedIdentity")] = Bytes(0, DeviceOperations.SealedIdentityBytes),
            [(typeof(PublishDeviceListRequest), "list")] = Bytes(1, limits.DeviceListBytes),
            [(typeof(RotateDeviceRequest), "signatureKey")] = Bytes(KeyBytes, KeyBytes),
            [(typeof(RotateDeviceRequest), "linkKey")] = Bytes(KeyBytes, KeyBytes),
            [(typeof(RotateDeviceRequest), "identitySignature")] = Bytes(SignatureBytes, SignatureBytes),
            [(typeof(ReplaceIdentityRequest), "identityKey")] = Bytes(KeyBytes, KeyBytes),
            [(typeof(ReplaceIdentityRequest), "identitySignature")] = Bytes(SignatureBytes, SignatureBytes),
            [(typeof(UploadKeyPackagesRequest), "keyPackages")] = Items(0, limits.KeyPackages, Bytes(1, limits.KeyPackageBytes)),
            [(typeof(UploadKeyPackagesRequest), "lastResort")] = Bytes(1, limits.KeyPackageBytes),
            [(typeof(ClaimKeyPackagesRequest), "userIds")] = Items(1, limits.ClaimUsers),
            [(typeof(CommitRequest), "epoch")] = position,
            [(typeof(CommitRequest), "commit")] = handshake,
            [(typeof(CommitRequest), "welcomes")] = Items(0, null, handshake),
            [(typeof(ProposalRequest), "epoch")] = position,
            [(typeof(ProposalRequest), "proposal")] = handshake,
            [(typeof(RosterChange), "add")] = Items(0, limits.RoomMembers),
            [(typeof(RosterChange), "remove")] = Items(0, limits.RoomMembers),
            [(typeof(RosterChange), "roles")] = Items(0, limits.RoomMembers),
            [(typeof(ReportInvalidCommitRequest), "seq")] = Range(1, Positions.Most),
        };
    }

    public Task TransformAsync(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancellationToken)
    {
        if (context.JsonTypeInfo.Type == typeof(byte[]))
            schema.ContentEncoding = "base64";
        if ((Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type) is { IsEnum: true } type)
            schema.Enum = [.. WireEnums.Known(type).Select(value => JsonSerializer.SerializeToNode(value, type, Wire.Json)!)];
        // Every number here is exact in JSON. With the format int64, generators would produce big integers, which JSON cannot write.
        if ((Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type) == typeof(long))
            (schema.Format, schema.Maximum) = (null, Positions.Most.ToString(CultureInfo.InvariantCulture));
        if (context.JsonPropertyInfo is { } property && bounds.TryGetValue((property.DeclaringType, property.Name), out var bound))
            bound(schema);
        else if (context.JsonPropertyInfo is null && context.JsonTypeInfo.Kind == JsonTypeInfoKind.Object && schema.Properties is { Count: > 0 })
            schema.Required = Required(context.JsonTypeInfo);
        return Task.CompletedTask;
    }

    /// <summary>
    /// Null members are omitted in responses and may be omitted in requests. Members with a default may be omitted in requests, and in records of both
    /// directions.
    /// </summary>
    private static HashSet<string> Required(JsonTypeInfo type)
    {
        if (type.Type.IsAssignableTo(typeof(IPatch)))
            return [];
        var request = type.Type.Name.EndsWith("Request", StringComparison.Ordinal) || type.Type == typeof(NotificationSettings);
        return
        [
            .. type.Properties.Where(property => !property.IsGetNullable && Nullable.GetUnderlyingType(property.PropertyType) is null
                && !(request && property.AssociatedParameter is { HasDefaultValue: true })).Select(property => property.Name),
        ];
    }

    private static Action<OpenApiSchema> Text(int least, int most, string? pattern = null) =>
        schema => (schema.MinLength, schema.MaxLength, schema.Pattern) = (least, most, pattern);

    private static Action<OpenApiSchema> Secret(int least, int most) =>
        schema => (schema.MinLength, schema.MaxLength, schema.Format) = (least, most, "password");

    /// <summary>A schema states the length of the base64 text.</summary>
    private static Action<OpenApiSchema> Bytes(int least, int most) => schema => (schema.MinLength, schema.MaxLength) = (Base64(least), Base64(most));

    private static int Base64(int bytes) => (bytes + 2) / 3 * 4;

    private static Action<OpenApiSchema> Range(long? least, long? most) => schema =>
        (schema.Minimum, schema.Maximum) = (least?.ToString(CultureInfo.InvariantCulture), most?.ToString(CultureInfo.InvariantCulture));

    private static Action<OpenApiSchema> Items(int least, int? most, Action<OpenApiSchema>? each = null) => schema =>
    {
        (schema.MinItems, schema.MaxItems) = (least, most);
        if (schema.Items is OpenApiSchema item)
            each?.Invoke(item);
    };
}
