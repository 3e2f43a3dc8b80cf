using System.Net.Http.Headers;
using System.Net.Http.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Faults.Clients;

/// <summary>An account, and what the REST API is asked for on its behalf. Calls are repeated until they succeed.</summary>
internal sealed class Account(Func<Uri> node) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly HttpClient http = new() { Timeout = TimeSpan.FromSeconds(5) };
    private readonly string password = $"correct horse {Guid.NewGuid():N}";

    public Guid UserId { get; private set; }

    public string Username { get; } = $"f{Guid.NewGuid():N}"[..24];

    public string AccessToken { get; private set; } = "";

    public async Task SignUpAsync() =>
        Use(await CallAsync<TokenResponse>(HttpMethod.Post, "/v1/auth/sign-up", new SignUpRequest(Username, $"{Username}@example.org", password)));

    public async Task SignInAsync() => Use(await CallAsync<TokenResponse>(HttpMethod.Post, "/v1/auth/token", new TokenRequest(Username, password)));

    /// <summary>A ticket for one connect.</summary>
    public async Task<string> IssueTicketAsync() => (await CallAsync<TicketResponse>(HttpMethod.Post, "/v1/auth/ticket", null)).Ticket;

    public async Task<Guid> CreateRoomAsync(IEnumerable<Account> others)
    {
        var request = new CreateRoomRequest(RoomKind.Group, [.. others.Select(other => other.Username)], Id: Guid.NewGuid());
        return (await CallAsync<Room>(HttpMethod.Post, "/v1/rooms", request)).Id;
    }

    public Task AddMemberAsync(Guid room, Account other) =>
        CallAsync<RoomMember>(HttpMethod.Post, $"/v1/rooms/{room}/members", new AddMemberRequest(other.Username));

    public async Task RemoveMemberAsync(Guid room, Account other) =>
        await CallAsync<object>(HttpMethod.Delete, $"/v1/rooms/{room}/members/{other.UserId}", null);

    /// <summary>The whole log from the first entry on.</summary>
    public async Task<List<LogEntry>> ReadLogAsync(Guid room)
    {
        var log = new List<LogEntry>();
        while (true)
        {
            var after = log.Count == 0 ? 0 : log[^1].Seq;
            var page = await CallAsync<LogPage>(HttpMethod.Get, $"/v1/rooms/{room}/log?afterSeq={after}&limit=500", null);
            log.AddRange(page.Entries);
            if (page.Entries.Length == 0 || page.Entries[^1].Seq >= page.HeadSeq)
                return log;
        }
    }

    public void Dispose() => http.Dispose();

    private void Use(TokenResponse tokens)
    {
        (UserId, AccessToken) = (tokens.UserId, tokens.AccessToken);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens.AccessToken);
    }

    private async Task<T> CallAsync<T>(HttpMethod method, string path, object? body)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            try
            {
                using var request = new HttpRequestMessage(method, new Uri(node(), path))
                {
                    Content = body is null ? null
                    : JsonContent.Create(body, body.GetType(), options: Wire.Json)
                };
                using var response = await http.SendAsync(request, patience.Token);
                if (response.IsSuccessStatusCode)
                    return response.Content.Headers.ContentLength is 0 or null && typeof(T) == typeof(object) ? default!
                        : (await response.Content.ReadFromJsonAsync<T>(Wire.Json, patience.Token))!;
                // A removal whose first answer was lost finds no member to remove.
                if (method == HttpMethod.Delete && (int)response.StatusCode == 404)
                    return default!;
                if ((int)response.StatusCode == 401 && AccessToken.Length > 0 && !path.StartsWith("/v1/auth", StringComparison.Ordinal))
                    await SignInAsync();
                else if ((int)response.StatusCode < 500 && (int)response.StatusCode != 429)
                    throw new InvalidOperationException(
                        $"{method} {path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(patience.Token)}");
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException
                && !patience.IsCancellationRequested)
            {
                // The node is away, or this one never answered: again.
            }

            await Task.Delay(100, patience.Token);
        }
    }
}
