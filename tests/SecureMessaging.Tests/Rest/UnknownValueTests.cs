using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>Writers are strict: a value outside of the contract is rejected, and the error names the field.</summary>
public sealed class UnknownValueTests(SqliteServer server)
{
    public static TheoryData<string, string, string, string> Requests { get; } = new()
    {
        { "POST", "/v1/rooms", """{"kind":"VALUE","members":[]}""", "kind" },
        { "POST", "/v1/rooms/ROOM/members", """{"username":"ben","role":"VALUE"}""", "role" },
        { "PATCH", "/v1/rooms/ROOM/members/ROOM", """{"role":"VALUE"}""", "role" },
        { "PUT", "/v1/me/settings", """{"priority":"VALUE"}""", "priority" },
        { "PUT", "/v1/me/settings/rooms/ROOM", """{"priority":"VALUE"}""", "priority" },
        { "POST", "/v1/rooms/ROOM/commits",
            """{"id":"11111111-1111-4111-8111-111111111111","epoch":0,"commit":"AA==","roster":{"add":[{"username":"ben","role":"VALUE"}]}}""", "role" },
    };

    [Theory, MemberData(nameof(Requests))]
    public async Task A_value_outside_of_the_contract_is_rejected_with_its_field(string method, string path, string body, string field)
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        foreach (var value in new[] { "unknown", "Unknown", "UNKNOWN", "somethingOfTomorrow", "", "-1" })
        {
            using var request = new HttpRequestMessage(new(method), path.Replace("ROOM", room.Id.ToString(), StringComparison.Ordinal))
            {
                Content = new StringContent(body.Replace("VALUE", value, StringComparison.Ordinal), Encoding.UTF8, "application/json"),
            };
            using var response = await anna.Http.SendAsync(request);
            var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
            Assert.Contains(field, error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("mutation { createRoom(input: { kind: UNKNOWN, members: [] }) { id } }")]
    [InlineData("mutation { changeRole(roomId: \"ROOM\", userId: \"ROOM\", role: UNKNOWN) }")]
    public async Task GraphQL_rejects_it_too(string query)
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        Assert.Equal(ErrorCode.Invalid, await anna.Http.RefusalAsync(query.Replace("ROOM", room.Id.ToString(), StringComparison.Ordinal)));
    }
}
