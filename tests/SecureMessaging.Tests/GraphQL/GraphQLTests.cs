using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>Operations of hub and REST over GraphQL.</summary>
public abstract class GraphQLTests(TestServer server)
{
    [Fact]
    public async Task An_account_passes_through_its_whole_life_cycle()
    {
        var sign = TestPeople.NewSignUp();
        var tokens = (await server.Http.AskAsync(
            "mutation($input: SignUpInput!) { signUp(input: $input) { userId username sessionId accessToken expiresIn refreshToken sessionExpiresAt } }",
            new { input = new { sign.Username, sign.Email, sign.Password }.Camel() })).GetProperty("signUp");
        Assert.Equal(ErrorCode.Conflict, await server.Http.RefusalAsync(
            "mutation($input: SignUpInput!) { signUp(input: $input) { userId } }", new { input = new { sign.Username, sign.Email, sign.Password }.Camel() }));
        Assert.Equal(ErrorCode.Unauthenticated, await server.Http.RefusalAsync("{ me { id } }"));
        Assert.Equal(ErrorCode.Unauthenticated, await server.Http.RefusalAsync(
            "mutation($u: String!) { signIn(username: $u, password: \"not the password\") { userId } }", new { u = sign.Username }));
        using var http = Bearer(tokens);
        var me = await http.AskAsync(
            "{ me { id username email createdOn role } sessions { id startedAt endedAt current } limits { ciphertextBytes pageEntries } }");
        Assert.Equal(sign.Username, me.GetProperty("me").GetProperty("username").GetString());
        Assert.Equal(sign.Email, me.GetProperty("me").GetProperty("email").GetString());
        Assert.True(me.GetProperty("sessions")[0].GetProperty("current").GetBoolean());
        Assert.Equal(Limits.Default.CiphertextBytes, me.GetProperty("limits").GetProperty("ciphertextBytes").GetInt32());

        var refreshed = await server.Http.AskAsync(
            "mutation($t: String!) { refresh(refreshToken: $t) { accessToken refreshToken } }", new { t = tokens.GetProperty("refreshToken").GetString() });
        Assert.NotEqual(tokens.GetProperty("refreshToken").GetString(), refreshed.GetProperty("refresh").GetProperty("refreshToken").GetString());
        var changed = await http.AskAsync(
            "mutation($e: String!, $p: String!) { updateProfile(email: $e, password: $p) { email } }", new { e = "new" + sign.Email, p = sign.Password });
        Assert.Equal("new" + sign.Email, changed.GetProperty("updateProfile").GetProperty("email").GetString());
        Assert.Equal(ErrorCode.Forbidden, await http.RefusalAsync(
            "mutation { changePassword(currentPassword: \"wrong password\", newPassword: \"another password\") }"));
        await http.AskAsync("mutation($c: String!) { changePassword(currentPassword: $c, newPassword: \"another password\") }", new { c = sign.Password });
        var other = (await server.Http.AskAsync(
            "mutation($u: String!) { signIn(username: $u, password: \"another password\") { sessionId } }", new { u = sign.Username })).GetProperty("signIn");
        await http.AskAsync("mutation($id: ID!) { endSession(id: $id) }", new { id = other.GetProperty("sessionId").GetString() });
        Assert.Equal(ErrorCode.NotFound, await http.RefusalAsync("mutation($id: ID!) { endSession(id: $id) }", new { id = Guid.NewGuid() }));
        Assert.Equal(ErrorCode.Forbidden, await http.RefusalAsync("{ stats { users } }"));
        Assert.Equal(ErrorCode.Forbidden, await http.RefusalAsync("mutation { disableUser(username: \"root\") }"));
        await http.AskAsync("mutation { deleteAccount(password: \"another password\") }");
        Assert.Equal(ErrorCode.Unauthenticated, await http.RefusalAsync("{ me { id } }"));
    }

    [Fact]
    public async Task A_room_passes_through_its_whole_life_cycle()
    {
        var users = await server.SignUpAsync(3);
        var (anna, ben, carl) = (users[0], users[1], users[2]);
        var room = (await anna.Http.AskAsync(
            "mutation($input: CreateRoomInput!) { createRoom(input: $input) { id kind role headSeq settings { name timeToLiveSeconds } "
            + "members { username role } } }",
            new { input = new { members = new[] { ben.Username }, name = "AQI=", timeToLiveSeconds = 3600 } })).GetProperty("createRoom");
        var id = room.GetProperty("id").GetGuid();
        Assert.Equal(("GROUP", "OWNER", "AQI="), (Text(room, "kind"), Text(room, "role"), Text(room.GetProperty("settings"), "name")));
        Assert.Equal([anna.Username, ben.Username], room.GetProperty("members").EnumerateArray().Select(member => Text(member, "username")));
        Assert.Equal(ErrorCode.NotFound, await carl.Http.RefusalAsync("query($id: ID!) { room(id: $id) { id } }", new { id }));
        Assert.Equal(ErrorCode.Invalid, await carl.Http.RefusalAsync("{ room(id: \"nonsense\") { id } }"));
        Assert.Equal(ErrorCode.Forbidden, await ben.Http.RefusalAsync(
            "mutation($id: ID!, $u: String!) { addMember(roomId: $id, username: $u) { role } }", new { id, u = carl.Username }));
        await anna.Http.AskAsync("mutation($id: ID!, $u: String!) { addMember(roomId: $id, username: $u) { role } }", new { id, u = carl.Username });
        await anna.Http.AskAsync("mutation($id: ID!, $u: ID!) { changeRole(roomId: $id, userId: $u, role: ADMIN) }", new { id, u = ben.Id });
        await ben.Http.AskAsync(
            "mutation($id: ID!) { changeRoomSettings(roomId: $id, settings: { name: \"AwQ=\" }) { settings { name timeToLiveSeconds } } }", new { id });
        var ack = (await ben.Http.AskAsync("mutation($i: SendInput!) { send(input: $i) { seq duplicate } }", Envelope(id, [1, 2, 3]))).GetProperty("send");
        Assert.Equal(ErrorCode.Forbidden, await anna.Http.RefusalAsync(
            "mutation($id: ID!, $s: Long!) { retract(roomId: $id, seq: $s) { seq } }", new { id, s = ack.GetProperty("seq").GetInt64() }));
        await ben.Http.AskAsync("mutation($id: ID!, $s: Long!) { retract(roomId: $id, seq: $s) { seq } }", new { id, s = ack.GetProperty("seq").GetInt64() });
        await ben.Http.AskAsync("mutation($id: ID!) { markDelivered(roomId: $id, seq: 3) signal(roomId: $id, signal: \"AQ==\") }", new { id });
        await anna.Http.AskAsync("mutation($id: ID!, $u: ID!) { removeMember(roomId: $id, userId: $u) }", new { id, u = carl.Id });
        var log = (await anna.Http.AskAsync(
            "query($id: ID!) { room(id: $id) { log { nodes { seq kind ciphertext userId role settings { name } targetSeq } } } }", new { id }))
            .GetProperty("room").GetProperty("log").GetProperty("nodes");
        Assert.Equal(
            ["MEMBER_JOINED", "MEMBER_JOINED", "MEMBER_JOINED", "ROLE_CHANGED", "SETTINGS_CHANGED", "GONE", "RETRACTION", "MEMBER_LEFT"],
            log.EnumerateArray().Select(entry => Text(entry, "kind")));
        Assert.Equal(6, log[6].GetProperty("targetSeq").GetInt64());
        await anna.Http.AskAsync("mutation($id: ID!) { deleteRoom(roomId: $id) }", new { id });
        Assert.Empty((await ben.Http.AskAsync("{ rooms { id } }")).GetProperty("rooms").EnumerateArray());
    }

    [Fact]
    public async Task The_log_is_read_in_both_directions_without_gaps()
    {
        var users = await server.SignUpAsync(2);
        var room = await users[0].CreateRoomAsync([]);
        for (var i = 0; i < 21; i++)
            await users[0].Http.AskAsync("mutation($i: SendInput!) { send(input: $i) { seq } }", Envelope(room.Id, [(byte)i]));
        var forwards = new List<long>();
        for (string? after = null; ;)
        {
            var page = await PageAsync(users[0], "first: 5, after: $cursor", after);
            forwards.AddRange(GraphQLCalls.Seqs(page.GetProperty("nodes")));
            Assert.Equal((22, 1), (page.GetProperty("headSeq").GetInt64(), page.GetProperty("firstSeq").GetInt64()));
            Assert.Equal(after is not null, page.GetProperty("pageInfo").GetProperty("hasPreviousPage").GetBoolean());
            if (!page.GetProperty("pageInfo").GetProperty("hasNextPage").GetBoolean())
                break;
            after = Text(page.GetProperty("pageInfo"), "endCursor");
        }

        Assert.Equal(Enumerable.Range(1, 22).Select(seq => (long)seq), forwards);
        var backwards = new List<long>();
        for (string? before = null; ;)
        {
            var page = await PageAsync(users[0], "last: 5, before: $cursor", before);
            backwards.InsertRange(0, GraphQLCalls.Seqs(page.GetProperty("nodes")));
            if (!page.GetProperty("pageInfo").GetProperty("hasPreviousPage").GetBoolean())
                break;
            before = Text(page.GetProperty("pageInfo"), "startCursor");
        }

        Assert.Equal(forwards, backwards);

        // A late member reads from its join on, in both directions.
        await users[0].Http.AskAsync(
            "mutation($id: ID!, $u: String!) { addMember(roomId: $id, username: $u) { role } }", new { id = room.Id, u = users[1].Username });
        var late = await PageAsync(users[1], "last: 10, before: $cursor", null);
        Assert.Equal([23], GraphQLCalls.Seqs(late.GetProperty("nodes")));
        Assert.Equal(23, late.GetProperty("firstSeq").GetInt64());
        foreach (var arguments in new[] { "first: 1, last: 1, after: $cursor", "first: 0, after: $cursor", "last: -1, after: $cursor" })
            Assert.Equal(ErrorCode.Invalid, await users[0].Http.RefusalAsync(Query(arguments), new { id = room.Id, cursor = (string?)null }));
        Assert.Equal(ErrorCode.Invalid, await users[0].Http.RefusalAsync(Query("after: $cursor"), new { id = room.Id, cursor = "x" }));

        static string Query(string arguments) => $$"""
            query($id: ID!, $cursor: String) { room(id: $id) {
              log({{arguments}}) {
                nodes { seq } edges { cursor node { seq } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } headSeq firstSeq } } }
            """;

        async Task<JsonElement> PageAsync(TestUser user, string arguments, string? cursor) =>
            (await user.Http.AskAsync(Query(arguments), new { id = room.Id, cursor })).GetProperty("room").GetProperty("log");
    }

    [Fact]
    public async Task A_batch_returns_a_result_per_send_and_recognises_retries()
    {
        await using var anna = await server.SignUpAsync();
        var room = await anna.CreateRoomAsync([]);
        var good = new { roomId = room.Id, clientMessageId = Guid.NewGuid(), ciphertext = "AQ==" };
        var bad = new { roomId = Guid.NewGuid(), clientMessageId = Guid.NewGuid(), ciphertext = "AQ==" };
        const string query = "mutation($inputs: [SendInput!]!) { sendBatch(inputs: $inputs) { ack { seq duplicate } error { code retryable } } }";
        var first = (await anna.Http.AskAsync(query, new { inputs = new[] { good, bad } })).GetProperty("sendBatch");
        Assert.Equal(2, first[0].GetProperty("ack").GetProperty("seq").GetInt64());
        Assert.Equal("NotFound", Text(first[1].GetProperty("error"), "code"));
        var again = (await anna.Http.AskAsync(query, new { inputs = new[] { good } })).GetProperty("sendBatch");
        Assert.True(again[0].GetProperty("ack").GetProperty("duplicate").GetBoolean());
    }

    internal static object Envelope(Guid roomId, byte[] ciphertext) =>
        new { i = new { roomId, clientMessageId = Guid.NewGuid(), ciphertext = Convert.ToBase64String(ciphertext) } };

    private HttpClient Bearer(JsonElement tokens) => new()
    {
        BaseAddress = server.Url,
        DefaultRequestHeaders = { Authorization = new("Bearer", Text(tokens, "accessToken")) },
    };

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}

internal static class Casing
{
    /// <summary>Names as in the schema.</summary>
    public static Dictionary<string, object?> Camel(this object value) => value.GetType().GetProperties()
        .ToDictionary(property => char.ToLowerInvariant(property.Name[0]) + property.Name[1..], property => property.GetValue(value), StringComparer.Ordinal);
}

public sealed class GraphQLTestsOnSqlite(SqliteServer server) : GraphQLTests(server);

public sealed class GraphQLTestsOnPostgres(PostgresServer server) : GraphQLTests(server);
