using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.GraphQL;

/// <summary>GraphQL over HTTP.</summary>
internal static class GraphQLCalls
{
    public static readonly Uri Path = new("/graphql", UriKind.Relative);

    /// <summary>The data of an operation without errors.</summary>
    public static async Task<JsonElement> AskAsync(this HttpClient http, string query, object? variables = null)
    {
        var reply = await http.ReplyAsync(query, variables);
        Assert.False(reply.TryGetProperty("errors", out var errors), errors.ToString());
        return reply.GetProperty("data");
    }

    /// <summary>The code of the first error.</summary>
    public static async Task<ErrorCode> RefusalAsync(this HttpClient http, string query, object? variables = null) =>
        CodeOf(await http.ReplyAsync(query, variables));

    public static async Task<JsonElement> ReplyAsync(this HttpClient http, string query, object? variables = null)
    {
        using var response = await http.PostAsJsonAsync(Path, new { query, variables });
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStringAsync());
    }

    public static ErrorCode CodeOf(JsonElement reply)
    {
        Assert.True(reply.TryGetProperty("errors", out var errors), reply.ToString());
        var extensions = errors[0].GetProperty("extensions");
        Assert.True(extensions.TryGetProperty("retryable", out _), reply.ToString());
        return Enum.Parse<ErrorCode>(extensions.GetProperty("code").GetString()!);
    }

    public static long[] Seqs(JsonElement entries) => [.. entries.EnumerateArray().Select(entry => entry.GetProperty("seq").GetInt64())];
}
