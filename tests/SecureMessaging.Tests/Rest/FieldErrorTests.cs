using System.Text.Json.Nodes;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Rest;

/// <summary>An error names the wrong member or parameter, in every operation of the document.</summary>
public sealed class FieldErrorTests(SqliteServer server)
{
    [Fact]
    public async Task Every_member_of_every_body_is_named_when_it_is_broken()
    {
        await using var anna = await server.SignUpAsync();
        var broken = 0;
        foreach (var operation in await DocumentedRequest.ReadAsync(server))
        {
            foreach (var (pointer, schema, required) in operation.Members())
            {
                await RefusesAsync(anna, operation, pointer, Replace(operation, pointer, Wrong(operation, schema)));
                broken++;
                if (!required)
                    continue;
                await RefusesAsync(anna, operation, pointer, Replace(operation, pointer, null));
                await RefusesAsync(anna, operation, pointer, Remove(operation, pointer));
                broken += 2;
            }

            if (operation.Schema is null)
                continue;
            var isArray = operation.Types(operation.Schema).Contains("array");
            foreach (var body in new[] { isArray ? "{}" : "[]", "7", "\"text\"", "null", "" })
                await RefusesAsync(anna, operation, "", body);
        }

        Assert.True(broken > 100, $"{broken}");
    }

    [Theory]
    [InlineData("x")]
    [InlineData("")]
    [InlineData("+")]
    [InlineData("1.5")]
    [InlineData("99999999999999999999")]
    [InlineData("1&{name}=2")]
    [InlineData("null")]
    public async Task Every_query_parameter_is_named_when_it_is_broken(string value)
    {
        await using var anna = await server.SignUpAsync();
        var broken = 0;
        foreach (var operation in await DocumentedRequest.ReadAsync(server))
        {
            foreach (var name in operation.ParametersIn("query"))
            {
                foreach (var query in new[] { $"?{name}={value.Replace("{name}", name, StringComparison.Ordinal)}", $"?{name}[]=1", $"?{name}[0]=1" })
                {
                    using var response = await operation.SendAsync(anna.Http, null, query);
                    var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
                    Assert.Equal((name, null), (error.Errors!.Single().Parameter, error.Errors!.Single().Pointer));
                    broken++;
                }
            }
        }

        Assert.True(broken >= 9, $"{broken}");
    }

    [Theory]
    [InlineData("POST", "/v1/rooms", """{"kind":"group","members":["ben",null]}""", "#/members/1")]
    [InlineData("POST", "/v1/rooms", """{"kind":"group","members":[],"timeToLiveSeconds":1}""", "#/timeToLiveSeconds")]
    [InlineData("POST", "/v1/rooms", """{"kind":"group","members":[],"scheme":"?"}""", "#/scheme")]
    [InlineData("PUT", "/v1/me/settings", """{"quietFrom":1}""", "#/quietUntil")]
    [InlineData("PUT", "/v1/me/settings", """{"quietFrom":1,"quietUntil":2,"timeZone":"Nowhere/At_All"}""", "#/timeZone")]
    [InlineData("PUT", "/v1/me/push", """{"endpoint":"http://127.0.0.1/"}""", "#/endpoint")]
    [InlineData("POST", "/v1/key-packages/claim", """{"userIds":[]}""", "#/userIds")]
    [InlineData("POST", "/v1/auth/sign-up", """{"username":"anna","email":"no address","password":"long enough to pass"}""", "#/email")]
    [InlineData("POST", "/v1/auth/sign-up", """{"username":"an","email":"a@example.org","password":"long enough to pass"}""", "#/username")]
    [InlineData("POST", "/v1/me/password", """{"currentPassword":"long enough to pass","newPassword":"short"}""", "#/newPassword")]
    public async Task A_violated_rule_names_the_member(string method, string path, string body, string pointer)
    {
        await using var anna = await server.SignUpAsync();
        using var request = new HttpRequestMessage(
            new HttpMethod(method), path)
        { Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        using var response = await anna.Http.SendAsync(request);
        var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Equal(pointer, error.Errors![0].Pointer);
        Assert.Equal(error.Message, error.Errors[0].Detail);
    }

    private static async Task RefusesAsync(TestUser user, DocumentedRequest operation, string pointer, string body)
    {
        using var response = await operation.SendAsync(user.Http, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True((int)response.StatusCode == 400, $"{operation.Name} {pointer}: {(int)response.StatusCode} for {body}: {text}");
        var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.True(error.Errors is [{ Parameter: null } only] && only.Pointer == $"#{pointer}", $"{operation.Name} {pointer} for {body}: {text}");
        Assert.Equal(error.Message, error.Errors![0].Detail);
        Assert.DoesNotContain("System.", text, StringComparison.Ordinal);
    }

    /// <summary>A value of another type; for an object an empty array, which is PHP's encoding of an empty object.</summary>
    private static JsonNode Wrong(DocumentedRequest operation, JsonNode schema)
    {
        var types = operation.Types(schema);
        return types.Contains("object") ? new JsonArray() : types.Contains("string") || operation.Resolve(schema)["enum"] is not null ? new JsonObject()
            : JsonValue.Create("x");
    }

    private static string Replace(DocumentedRequest operation, string pointer, JsonNode? value)
    {
        var (root, parent, last) = Find(operation, pointer);
        if (parent is JsonArray array)
            array[0] = value;
        else
            parent[last] = value;
        return root.ToJsonString();
    }

    private static string Remove(DocumentedRequest operation, string pointer)
    {
        var (root, parent, last) = Find(operation, pointer);
        parent.AsObject().Remove(last);
        return root.ToJsonString();
    }

    /// <summary>The example, with parents of the member added where they are missing.</summary>
    private static (JsonNode Root, JsonNode Parent, string Last) Find(DocumentedRequest operation, string pointer)
    {
        var parts = pointer.Split('/')[1..];
        var root = operation.Example!.DeepClone();
        var node = root;
        for (var i = 0; i < parts.Length - 1; i++)
        {
            JsonNode below = parts[i + 1] == "0" ? new JsonArray((JsonNode?)null) : new JsonObject();
            if (node is JsonArray array)
                node = array[0] ??= below;
            else
                node = node[parts[i]] ??= below;
            if (node is JsonArray { Count: 0 } empty)
                empty.Add((JsonNode?)null);
        }

        return (root, node, parts[^1]);
    }
}
