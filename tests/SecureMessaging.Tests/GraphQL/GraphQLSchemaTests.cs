using System.Text.RegularExpressions;
using GraphQL.Types;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>The schema is a contract.</summary>
public sealed partial class GraphQLSchemaTests(SqliteServer server)
{
    private static readonly Dictionary<string, string> Mutations = new(StringComparer.Ordinal)
    {
        ["POST /v1/auth/sign-up"] = "signUp",
        ["POST /v1/auth/token"] = "signIn",
        ["POST /v1/auth/refresh"] = "refresh",
        ["POST /v1/auth/logout"] = "logOut",
        ["POST /v1/auth/logout-everywhere"] = "logOutEverywhere",
        ["POST /v1/auth/ticket"] = "issueTicket",
        ["PATCH /v1/me"] = "updateProfile",
        ["POST /v1/me/password"] = "changePassword",
        ["POST /v1/me/delete"] = "deleteAccount",
        ["PUT /v1/me/device-list"] = "publishDeviceList",
        ["PUT /v1/me/sessions/{id}/label"] = "labelSession",
        ["DELETE /v1/me/sessions/{id}"] = "endSession",
        ["PUT /v1/me/settings"] = "changeSettings",
        ["PUT /v1/me/settings/rooms/{roomId}"] = "changeSettingsOfRoom",
        ["DELETE /v1/me/settings/rooms/{roomId}"] = "resetSettingsOfRoom",
        ["PUT /v1/me/privacy"] = "changePrivacy",
        ["PUT /v1/me/push"] = "registerPush",
        ["DELETE /v1/me/push"] = "unregisterPush",
        ["POST /v1/rooms"] = "createRoom",
        ["PATCH /v1/rooms/{roomId}"] = "changeRoomSettings",
        ["DELETE /v1/rooms/{roomId}"] = "deleteRoom",
        ["POST /v1/rooms/{roomId}/members"] = "addMember",
        ["PATCH /v1/rooms/{roomId}/members/{userId}"] = "changeRole",
        ["DELETE /v1/rooms/{roomId}/members/{userId}"] = "removeMember",
        ["POST /v1/rooms/{roomId}/messages"] = "send",
        ["POST /v1/rooms/{roomId}/messages/batch"] = "sendBatch",
        ["DELETE /v1/rooms/{roomId}/messages/{seq}"] = "retract",
        ["PUT /v1/rooms/{roomId}/delivered"] = "markDelivered",
        ["POST /v1/rooms/{roomId}/signals"] = "signal",
        ["POST /v1/devices"] = "registerDevice",
        ["DELETE /v1/devices/{deviceId}"] = "revokeDevice",
        ["PUT /v1/devices/{deviceId}/session"] = "attachDevice",
        ["PUT /v1/devices/{deviceId}/approval"] = "approveDevice",
        ["DELETE /v1/devices/{deviceId}/sealed-identity"] = "acknowledgeSealedIdentity",
        ["PUT /v1/devices/{deviceId}/keys"] = "rotateDevice",
        ["PUT /v1/me/identity"] = "replaceIdentity",
        ["POST /v1/devices/{deviceId}/key-packages"] = "uploadKeyPackages",
        ["POST /v1/key-packages/claim"] = "claimKeyPackages",
        ["POST /v1/rooms/{roomId}/commits"] = "commit",
        ["POST /v1/rooms/{roomId}/proposals"] = "propose",
        ["POST /v1/rooms/{roomId}/invalid-commits"] = "reportInvalidCommit",
        ["DELETE /v1/devices/{deviceId}/welcomes/{roomId}/{seq}"] = "acknowledgeWelcome",
        ["POST /v1/admin/users/{username}/disable"] = "disableUser",
        ["POST /v1/admin/users/{username}/enable"] = "enableUser",
    };

    private ISchema Schema => server.Services.GetRequiredService<ISchema>();

    [Fact]
    public async Task The_schema_matches_the_snapshot() =>
        Snapshot.Matches(await server.Http.GetStringAsync("/graphql/schema.graphql"), "tests", "SecureMessaging.Tests", "Snapshots", "schema.graphql");

    [Fact]
    public void Every_write_over_REST_has_its_mutation()
    {
        var writes = server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(endpoint => (endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
                .Where(method => method is not ("GET" or "HEAD" or "CONNECT"))
                .Select(method => $"{method} {Constraint().Replace(endpoint.RoutePattern.RawText!, "}").TrimEnd('/')}"))
            .Where(write => write.Contains(" /v1/", StringComparison.Ordinal))
            .ToList();
        Assert.NotEmpty(writes);
        Assert.Empty(writes.Except(Mutations.Keys));
        Assert.Empty(Mutations.Values.Except(Schema.Mutation!.Fields.Select(field => field.Name)));
    }

    [Fact]
    public void Public_fields_are_listed()
    {
        string[] open = [.. new[] { Schema.Query, Schema.Mutation!, Schema.Subscription! }.SelectMany(root => root.Fields)
            .Where(SecureMessaging.Server.Doors.GraphQL.FieldNotes.IsOpen).Select(field => field.Name).Order()];
        Assert.Equal(["limits", "refresh", "signIn", "signUp"], open);
    }

    [GeneratedRegex(@":\w+\}", RegexOptions.None, 10_000)]
    private static partial Regex Constraint();
}
