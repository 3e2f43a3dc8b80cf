using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>
/// Malicious documents and requests. Each is rejected quickly with a code of the catalogue, and the server keeps running.
/// </summary>
public abstract class GraphQLHostileTests(TestServer server)
{
    private const string Newer = "application/graphql-response+json";

    public static TheoryData<string, string, ErrorCode> Documents { get; } = new()
    {
        { "depth", Nest("room(id: \"x\") { log { nodes { settings { name", 12), ErrorCode.TooLarge },
        { "aliases", $"{{ {string.Join(' ', Enumerable.Range(0, 40).Select(i => $"a{i}: limits {{ pageEntries }}"))} }}", ErrorCode.TooLarge },
        { "tokens", $"{{ {string.Concat(Enumerable.Repeat("limits { pageEntries } ", 2000))} }}", ErrorCode.TooLarge },
        { "characters", $"{{ limits {{ pageEntries }} }} # {new string('x', 70_000)}", ErrorCode.TooLarge },
        { "cost of a list", "{ rooms { log(first: 500) { nodes { seq kind id } } members { username } } }", ErrorCode.TooLarge },
        { "cost of a variable", "query($n: Int) { rooms { log(first: $n) { nodes { seq kind id } } } }", ErrorCode.TooLarge },
        { "many sign-ins",
            $"mutation {{ {string.Join(' ', Enumerable.Range(0, 10).Select(i => $"a{i}: signIn(username: \"u\", password: \"p{i}\") {{ userId }}"))} }}",
            ErrorCode.TooLarge },
        { "fragments that double", Doubling(30), ErrorCode.TooLarge },
        { "a fragment cycle", "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a limits { pageEntries } }", ErrorCode.Invalid },
        { "nested lists", $"{{ user(username: {new string('[', 400)}{new string(']', 400)}) {{ id }} }}", ErrorCode.TooLarge },
        { "nested selections", $"{string.Concat(Enumerable.Repeat("{ a ", 500))}{new string('}', 500)}", ErrorCode.TooLarge },
        { "circular introspection", "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
            ErrorCode.TooLarge },
        { "introspection", "{ __schema { queryType { name } } }", ErrorCode.Forbidden },
        { "introspection in a fragment", "{ ...a } fragment a on Query { __schema { queryType { name } } }", ErrorCode.Forbidden },
        { "aliases in a fragment that is spread again and again",
            $"{{ limits {{ ...f ...f ...f ...f }} }} fragment f on Limits {{ {string.Join(' ', Enumerable.Range(0, 10).Select(i => $"a{i}: pageEntries"))} }}",
            ErrorCode.TooLarge },
        { "writes by the dozen", $"mutation {{ {string.Join(' ', Enumerable.Range(0, 40).Select(i => $"a{i}: deleteRoom(roomId: \"x\")"))} }}",
            ErrorCode.TooLarge },
        { "the dear operation is not the one that is asked for",
            "query a { limits { pageEntries } } query b { rooms { log(first: 500) { nodes { seq kind id } } members { username } } }", ErrorCode.TooLarge },
        { "hundreds of unused fragments",
            $"{{ limits {{ pageEntries }} }} {string.Join(' ', Enumerable.Range(0, 150).Select(i => $"fragment f{i} on Limits {{ pageEntries }}"))}",
            ErrorCode.Invalid },
        { "hundreds of unused variables",
            $"query({string.Join(' ', Enumerable.Range(0, 200).Select(i => $"$v{i}: Int"))}) {{ limits {{ pageEntries }} }}", ErrorCode.Invalid },
        { "input objects in input objects",
            $"mutation {{ createRoom(input: {string.Concat(Enumerable.Repeat("{ members: ", 100))} 1 {new string('}', 100)}) {{ id }} }}", ErrorCode.TooLarge },
        { "introspection of a type", "{ __type(name: \"Room\") { name } }", ErrorCode.Forbidden },
        { "no field of that name", "{ passwords }", ErrorCode.Invalid },
        { "no argument of that name", "{ user(name: \"x\") { id } }", ErrorCode.Invalid },
        { "no directive of that name", "{ limits @defer { pageEntries } }", ErrorCode.Invalid },
        { "directives by the hundred", $"{{ limits {string.Concat(Enumerable.Repeat("@skip(if: false) ", 200))} {{ pageEntries }} }}", ErrorCode.Invalid },
        { "conflicting fields by the hundred", $"{{ limits {{ {string.Concat(Enumerable.Repeat("pageEntries ", 1400))} }} nothing }}", ErrorCode.TooLarge },
        { "fields with other arguments by the hundred", Repeated(i => $"user(username: \"{i}\") {{ id }}"), ErrorCode.TooLarge },
        { "fields with other arguments in a fragment that is not spread",
            $"{{ limits {{ pageEntries }} }} fragment f on Query {Repeated(i => $"limits(a: {i})")}", ErrorCode.TooLarge },
        { "fields with other arguments in inline fragments", Repeated(i => $"... on Query {{ limits(a: {i}) }}"), ErrorCode.TooLarge },
        { "two operations", "{ limits { pageEntries } } query b { limits { pageEntries } }", ErrorCode.Invalid },
        { "a subscription by HTTP", "subscription { roomChanges { roomId } }", ErrorCode.Invalid },
        { "syntax", "{ limits { pageEntries }", ErrorCode.Invalid },
        { "control characters", "{ limits \u0000\u0001 { pageEntries } }", ErrorCode.Invalid },
        { "only a comment", "# nothing", ErrorCode.Invalid },
        { "a definition of types", "type Query { evil: String }", ErrorCode.Invalid },
        { "a number without end", $"{{ limits {{ pageEntries }} rooms {{ log(first: {new string('9', 5000)}) {{ headSeq }} }} }}", ErrorCode.Invalid },
    };

    [Theory, MemberData(nameof(Documents))]
    public async Task A_hostile_document_is_rejected(string what, string document, ErrorCode code)
    {
        Assert.NotEmpty(what);
        await using var anna = await server.SignUpAsync();
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(code, await anna.Http.RefusalAsync(document));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
        await LivesAsync();
    }

    [Fact]
    public async Task An_error_response_is_small_for_any_number_of_errors()
    {
        foreach (var document in new[]
        {
            $"{{ {string.Join(' ', Enumerable.Range(0, 1400).Select(i => $"x{i}"))} }}",
            $"{{ {string.Join(' ', Enumerable.Range(0, 60).Select(i => $"...f{i}"))} }} "
                + $"{string.Join(' ', Enumerable.Range(0, 60).Select(i => $"fragment f{i} on Query {{ limits(a: {i}) {{ id }} }}"))}",
        })
        {
            var reply = await server.Http.ReplyAsync(document);
            Assert.Equal(ErrorCode.Invalid, GraphQLCalls.CodeOf(reply));
            Assert.Equal(10, reply.GetProperty("errors").GetArrayLength());
        }
    }

    [Theory]
    [InlineData("{ room(id: {}) { id } }", "#/id")]
    [InlineData("""mutation { retract(roomId: "x", seq: -1) { seq } }""", "#/seq")]
    [InlineData("""mutation { retract(roomId: "x") { seq } }""", "#/seq")]
    [InlineData("mutation { createRoom(input: { members: 7 }) { id } }", "#/input")]
    public async Task An_error_of_the_document_names_the_argument(string document, string pointer)
    {
        await using var anna = await server.SignUpAsync();
        var extensions = (await anna.Http.ReplyAsync(document)).GetProperty("errors")[0].GetProperty("extensions");
        Assert.Equal(nameof(ErrorCode.Invalid), extensions.GetProperty("code").GetString());
        Assert.Equal(pointer, extensions.GetProperty("errors")[0].GetProperty("pointer").GetString());
    }

    [Theory]
    [InlineData("""{"query":"{ __typename }","query":"{ me { id } }"}""", "#/query", "query must be given once.")]
    [InlineData("{\"query\":\n\"{ __typename }\",}", "#", "The body is not valid JSON at line 2, byte 18.")]
    [InlineData("", "#", "The body is not valid JSON at line 1, byte 1.")]
    [InlineData("""{"query":"\ud800"}""", "#", "A string of the request is not valid Unicode.")]
    public async Task Invalid_JSON_is_rejected_with_its_position(string body, string pointer, string detail)
    {
        using var response = await server.Http.PostTextAsync(GraphQLCalls.Path.OriginalString, body);
        var error = JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStringAsync()).GetProperty("errors")[0].GetProperty("extensions")
            .GetProperty("errors")[0];
        Assert.Equal((400, pointer, detail), ((int)response.StatusCode, error.GetProperty("pointer").GetString(), error.GetProperty("detail").GetString()));
    }

    public static TheoryData<string, string> Bodies { get; } = new()
    {
        { "nothing", "" },
        { "no JSON", "{" },
        { "null", "null" },
        { "text", "\"{ limits { pageEntries } }\"" },
        { "a batch", """[{"query":"{ __typename }"},{"query":"{ __typename }"}]""" },
        { "a batch of many", $"[{string.Join(',', Enumerable.Repeat("""{"query":"{ __typename }"}""", 1000))}]" },
        { "depth", string.Concat(Enumerable.Repeat("{\"a\":", 5000)) + "1" + new string('}', 5000) },
        { "depth of variables", $$$"""{"query":"{ __typename }","variables":{"a":{{{new string('[', 1000)}}}{{{new string(']', 1000)}}}}}""" },
        { "width", $$$"""{"query":"{ __typename }","variables":{"a":[{{{string.Join(',', Enumerable.Repeat("0", 500_000))}}}]}}""" },
        { "a number without end", $$$"""{"query":"{ __typename }","variables":{"a":{{{new string('9', 1_000_000)}}}}}""" },
        { "the same name twice", """{"query":"{ __typename }","query":"{ me { id } }"}""" },
        { "the same name twice in variables", """{"query":"{ __typename }","variables":{"a":1,"a":2}}""" },
        { "a query that is a number", """{"query":1}""" },
        { "no query", """{"operationName":"a"}""" },
        { "variables that are a list", """{"query":"{ __typename }","variables":[]}""" },
        { "variables that are text", """{"query":"{ __typename }","variables":"{}"}""" },
        { "extensions that are text", """{"query":"{ __typename }","extensions":"x"}""" },
        { "an operation name that is none", """{"query":"{ __typename }","operationName":1}""" },
        { "comments", """{"query":"{ __typename }"/* x */}""" },
        { "half a surrogate pair for a query", """{"query":"\ud800"}""" },
        { "half a surrogate pair for an operation", """{"query":"{ __typename }","operationName":"\udc00"}""" },
        { "half a surrogate pair in variables", """{"query":"{ __typename }","variables":{"a":"x\ud800x"}}""" },
    };

    [Theory, MemberData(nameof(Bodies))]
    public async Task An_invalid_request_is_rejected_with_a_status(string what, string body)
    {
        Assert.NotEmpty(what);
        using var response = await server.Http.PostTextAsync(GraphQLCalls.Path.OriginalString, body);
        Assert.InRange((int)response.StatusCode, 400, 499);
        await ReadAsync(response, response.StatusCode == HttpStatusCode.RequestEntityTooLarge ? ErrorCode.TooLarge : ErrorCode.Invalid);
        await LivesAsync();
    }

    [Fact]
    public async Task Bytes_that_are_not_text_are_rejected()
    {
        using var content = new ByteArrayContent([.. "{\"query\":\"{ __typename }"u8, 0xff, .. "\"}"u8]);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var response = await server.Http.PostAsync(GraphQLCalls.Path, content);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        await ReadAsync(response, ErrorCode.Invalid);
    }

    [Fact]
    public async Task Variables_of_megabytes_are_read_and_neither_stored_nor_repeated()
    {
        await using var anna = await server.SignUpAsync();
        var large = new string('q', 3 * 1024 * 1024);
        var reply = await anna.Http.ReplyAsync("query($u: String!) { user(username: $u) { id } }", new { u = large });
        Assert.True(reply.ToString().Length < 1000);
        Assert.Equal(ErrorCode.Invalid, await anna.Http.RefusalAsync("query($u: ID!) { room(id: $u) { id } }", new { u = large }));
        Assert.Equal(ErrorCode.TooLarge, await anna.Http.RefusalAsync(
            "mutation($i: SendInput!) { send(input: $i) { seq } }",
            new { i = new { roomId = Guid.NewGuid(), clientMessageId = Guid.NewGuid(), ciphertext = Convert.ToBase64String(new byte[1024 * 1024]) } }));
        Assert.Equal(ErrorCode.TooLarge, await anna.Http.RefusalAsync("query($u: [ID!]) { me { id } }", new { u = Enumerable.Repeat("x", 10_000) }));
        await LivesAsync();
    }

    [Fact]
    public async Task A_body_over_the_limit_is_rejected()
    {
        using var content = new StringContent(
            $$$"""{"query":"{ __typename }","variables":{"a":"{{{new string('x', 5 * 1024 * 1024)}}}"}}""", Encoding.UTF8, "application/json");
        // Expect: 100-continue, because the response could be lost behind a broken pipe.
        using var request = new HttpRequestMessage(HttpMethod.Post, GraphQLCalls.Path) { Content = content, Headers = { ExpectContinue = true } };
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        await LivesAsync();
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/graphql")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData(null)]
    public async Task A_wrong_content_type_is_rejected(string? type)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes("""{"query":"{ __typename }"}"""));
        content.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        using var response = await server.Http.PostAsync(GraphQLCalls.Path, content);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task GET_rejects_a_mutation_and_accepts_a_query()
    {
        using var mutation = await server.Http.GetAsync(new Uri("/graphql?query=mutation%7BlogOut%7D", UriKind.Relative));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, mutation.StatusCode);
        Assert.Equal(["POST"], mutation.Content.Headers.Allow);
        using var query = await server.Http.GetAsync(new Uri("/graphql?query=%7Blimits%7BpageEntries%7D%7D&variables=%7B%7D", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, query.StatusCode);
        using var twice = await server.Http.GetAsync(new Uri("/graphql?query=%7B__typename%7D&query=%7B__typename%7D", UriKind.Relative));
        Assert.Equal(HttpStatusCode.BadRequest, twice.StatusCode);
        using var put = await server.Http.PutAsync(GraphQLCalls.Path, null);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, put.StatusCode);
    }

    [Theory]
    [InlineData("{ limits { nothing } }", HttpStatusCode.BadRequest)]
    [InlineData("{ me { id } }", HttpStatusCode.Unauthorized)]
    [InlineData("{ __schema { queryType { name } } }", HttpStatusCode.Forbidden)]
    [InlineData("{ limits { pageEntries } }", HttpStatusCode.OK)]
    public async Task The_newer_media_type_returns_the_status_of_the_catalogue(string document, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, GraphQLCalls.Path)
        {
            Content = new StringContent(JsonSerializer.Serialize(new { query = document }), Encoding.UTF8, "application/json"),
            Headers = { Accept = { new(Newer) } },
        };
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(status, response.StatusCode);
        Assert.Equal(Newer, response.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task Input_is_neither_returned_nor_logged()
    {
        await using var anna = await server.SignUpAsync();
        const string secret = "canary-5f1e";
        foreach (var (query, variables) in new (string, object?)[]
        {
            ("mutation($p: Int!) { signIn(username: \"x\", password: $p) { userId } }", new { p = secret }),
            ("mutation($i: SignUpInput!) { signUp(input: $i) { userId } }",
                new { i = new { username = secret, email = secret, password = secret, more = secret } }),
            ("mutation($i: SendInput!) { send(input: $i) { seq } }", new { i = new { roomId = secret, clientMessageId = secret, ciphertext = secret } }),
            ("mutation($s: Long!) { retract(roomId: \"x\", seq: $s) { seq } }", new { s = secret }),
            ("mutation($r: RoomRole!) { changeRole(roomId: \"x\", userId: \"x\", role: $r) }", new { r = secret }),
        })
        {
            var reply = (await anna.Http.ReplyAsync(query, variables)).ToString();
            Assert.Contains("\"Invalid\"", reply, StringComparison.Ordinal);
            Assert.DoesNotContain(secret, reply, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", reply, StringComparison.Ordinal);
        }

        Assert.DoesNotContain(server.Logs, line => line.Contains(secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Introspection_needs_a_user_and_the_setting()
    {
        await using var node = await server.DedicatedAsync("--GraphQL:IntrospectionForUsers=true");
        await using var anna = await node.SignUpAsync();
        const string query = "{ __schema { types { name fields { name type { name ofType { name ofType { name ofType { name } } } } } } } }";
        Assert.Equal(ErrorCode.Forbidden, await node.Http.RefusalAsync(query));
        Assert.NotEmpty((await anna.Http.AskAsync(query)).GetProperty("__schema").GetProperty("types").EnumerateArray());
    }

    private async Task LivesAsync() =>
        Assert.Equal(500, (await server.Http.AskAsync("{ limits { pageEntries } }")).GetProperty("limits").GetProperty("pageEntries").GetInt32());

    private static async Task ReadAsync(HttpResponseMessage response, ErrorCode code)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
        Assert.Equal(code, GraphQLCalls.CodeOf(JsonSerializer.Deserialize<JsonElement>(text)));
    }

    private static string Nest(string opening, int times) =>
        $"{{ {string.Concat(Enumerable.Repeat(opening + " { ", times))} a "
        + $"{string.Concat(Enumerable.Repeat(" }", times * (opening.Count(character => character == '{') + 1)))} }}";

    private static string Repeated(Func<int, string> field) => $"{{ {string.Join(' ', Enumerable.Range(0, 120).Select(field))} }}";

    private static string Doubling(int levels) =>
        "{ ...f0 } " + string.Join(' ', Enumerable.Range(0, levels).Select(i => $"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}"))
            + $" fragment f{levels} on Query {{ limits {{ pageEntries }} }}";
}

public sealed class GraphQLHostileTestsOnSqlite(SqliteServer server) : GraphQLHostileTests(server);

public sealed class GraphQLHostileTestsOnPostgres(PostgresServer server) : GraphQLHostileTests(server);
