using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Fuzz;

/// <summary>
/// Requests generated from the server's own metadata, and damaged: REST bodies, GraphQL documents and variables, tokens. Every response is of the
/// catalogue and reveals no internals, no failure is logged, and a conversation beside it continues.
/// </summary>
public abstract class ApiFuzzTests(TestServer server)
{
    /// <summary>The number of requests of a long run.</summary>
    private const string FuzzVariable = "SECUREMESSAGING_TEST_API_FUZZ";

    private const int Round = 100;

    /// <summary>The smallest limit of a body.</summary>
    private const int LargeBody = 1024;

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Random_requests_get_answers_of_the_catalogue_and_do_not_disturb_others()
    {
        var count = HostileInput.Count(FuzzVariable, 1500);
        await using var node = await server.DedicatedAsync();
        var (anna, ben) = (await node.SignUpAsync(), await node.SignUpAsync());
        var canary = await anna.CreateRoomAsync([ben]);
        var (speaker, listener) = (await anna.ConnectAsync(), await ben.ConnectAsync(messagePack: true));
        await using var mallory = await node.SignUpAsync();
        using var device = await mallory.AddDeviceAsync();
        var rooms = new[] { await mallory.CreateRoomAsync([ben]), await mallory.CreateMlsRoomAsync(ben), await mallory.CreateRoomAsync([], visible: true) };
        var values = new FuzzValues(
            Seed.For($"api fuzz {server.Engine}"), [.. rooms.Select(room => room.Id), mallory.Id, ben.Id, device.Id, canary.Id, mallory.Tokens.SessionId],
            [mallory.Username, ben.Username, anna.Username, "unknown-user"]);
        var requests = new FuzzRequests(node, values);
        var findings = new List<string>();
        // One connection per request: after an unread body the server closes its connection, and a request that is in flight on it is lost.
        using var http = new HttpClient(
            new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero })
        { BaseAddress = node.Url, Timeout = TimeSpan.FromSeconds(30) };

        for (var done = 0; done < count && findings.Count < 5; done += Round)
        {
            var token = await SignInAsync(node, mallory);
            var batch = Enumerable.Range(0, Math.Min(Round, count - done)).Select(_ => Make(requests, values, token)).ToList();
            await Parallel.ForEachAsync(batch, new ParallelOptions { MaxDegreeOfParallelism = 6 }, async (request, _) =>
            {
                if (await JudgeAsync(http, request) is not { } finding)
                    return;
                lock (findings)
                    findings.Add(finding);
            });
            // Control: a message is still delivered.
            await speaker.SendAsync(canary.Id, [1]);
            var received = 1 + (done / Round);
            await listener.WaitAsync(canary.Id, entries => entries.Count(entry => entry.Kind == EntryKind.Message) >= received);
            findings.AddRange(
                node.Logs.Where(line => line.Contains("\"Error\"", StringComparison.Ordinal) || line.Contains("\"Fatal\"", StringComparison.Ordinal)).Take(5));
        }

        Assert.True(findings.Count == 0, string.Join("\n\n", findings));
        (await node.Http.GetAsync("/health/ready")).EnsureSuccessStatusCode();
        await anna.DisposeAsync();
        await ben.DisposeAsync();
    }

    private static HttpRequestMessage Make(FuzzRequests requests, FuzzValues values, string token)
    {
        var kind = values.Random.Next(10);
        var request = kind switch
        {
            < 5 => requests.Rest(),
            < 9 => requests.GraphQL(),
            _ => new HttpRequestMessage(HttpMethod.Get, "/v1/me"),
        };
        if (kind == 9)
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {requests.Token(token)}");
        else if (values.Chance(0.9))
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    /// <summary>Each round has its own session, because requests of the previous round may have ended it.</summary>
    private static async Task<string> SignInAsync(TestServer node, TestUser user)
    {
        var grant = await node.Database.WriteAsync(
            transaction => node.Services.GetRequiredService<SessionStore>().StartAsync(transaction, user.Id, CancellationToken.None), CancellationToken.None);
        return node.Services.GetRequiredService<AccessTokens>().Issue(new Caller(grant.UserId, grant.SessionId), admin: false, grant.ExpiresAt).Token;
    }

    /// <summary>Null: the response is correct.</summary>
    private static async Task<string?> JudgeAsync(HttpClient http, HttpRequestMessage request)
    {
        using (request)
        {
            var asked = $"{request.Method} {request.RequestUri} {(request.Content is null ? "" : Cut(await request.Content.ReadAsStringAsync()))}";
            try
            {
                using var response = await http.SendAsync(request);
                var text = await response.Content.ReadAsStringAsync();
                var wrong = Judge(request, response, text);
                return wrong is null ? null : $"{wrong}: {asked} → {(int)response.StatusCode} {Cut(text)}";
            }
            catch (HttpRequestException) when (request.Content?.Headers.ContentLength > LargeBody)
            {
                // Rejected during the upload; the response was lost with the connection.
                return null;
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException or UriFormatException)
            {
                return $"{exception.GetType().Name} {exception.Message} {exception.InnerException?.Message}: {asked}";
            }
        }
    }

    private static string? Judge(HttpRequestMessage request, HttpResponseMessage response, string text)
    {
        // Documents served by the server may contain anything.
        if (response.IsSuccessStatusCode && request.RequestUri!.OriginalString.StartsWith("/graphql", StringComparison.Ordinal) is false)
            return null;
        if (text.Contains("   at ", StringComparison.Ordinal) || text.Contains("Exception", StringComparison.Ordinal)
            || text.Contains("System.", StringComparison.Ordinal))
            return "tells of the inside";
        if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType is "text/html" or "text/css" or "text/javascript")
            return null;
        if (request.Method == HttpMethod.Head)
            return (int)response.StatusCode >= 500 ? "failed" : null;
        // The web server itself rejects requests that are not HTTP, and incomplete bodies.
        if (text.Length == 0
            && response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestUriTooLong or HttpStatusCode.RequestHeaderFieldsTooLarge)
            return null;
        var codes = Codes(response, text);
        if (codes is null)
            return "is not of the catalogue";
        if (codes.Any(code => code == ErrorCode.Internal))
            return "failed";
        return (int)response.StatusCode >= 500 && codes.All(code => code is not (ErrorCode.Overloaded or ErrorCode.Unavailable)) ? "has the wrong status"
            : null;
    }

    private static List<ErrorCode>? Codes(HttpResponseMessage response, string text)
    {
        if (IsPreflight(response))
            return [];
        try
        {
            var json = JsonSerializer.Deserialize<JsonElement>(text);
            if (response.Content.Headers.ContentType?.MediaType == "application/problem+json")
                return [Enum.Parse<ErrorCode>(json.GetProperty("code").GetString()!)];
            return json.TryGetProperty("errors", out var errors)
                ? [.. errors.EnumerateArray().Select(error => Enum.Parse<ErrorCode>(error.GetProperty("extensions").GetProperty("code").GetString()!))]
                : response.IsSuccessStatusCode ? [] : null;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or ArgumentException or InvalidOperationException)
        {
            return null;
        }

        static bool IsPreflight(HttpResponseMessage response) => response.RequestMessage?.Method == HttpMethod.Options
            && response.StatusCode == HttpStatusCode.NoContent;
    }

    private static string Cut(string text) => text.Length <= 600 ? text : $"{text[..600]}… ({text.Length})";
}

public sealed class ApiFuzzTestsOnSqlite(SqliteServer server) : ApiFuzzTests(server);

public sealed class ApiFuzzTestsOnPostgres(PostgresServer server) : ApiFuzzTests(server);
