using System.Net.Http.Headers;
using System.Net.Http.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>An account that was signed up over HTTP, with a client that carries its access token.</summary>
public sealed class TestUser : IAsyncDisposable
{
    private readonly List<TestConnection> connections = [];

    internal TestUser(Uri url, SignUpRequest request, TokenResponse tokens)
    {
        (Url, Email, Password, Tokens) = (url, request.Email, request.Password, tokens);
        Http = new HttpClient(new DocumentedReplies()) { BaseAddress = url };
        Use(tokens);
    }

    public Uri Url { get; }

    public Guid Id => Tokens.UserId;

    public string Username => Tokens.Username;

    public string Email { get; }

    public string Password { get; }

    public TokenResponse Tokens { get; private set; }

    public HttpClient Http { get; }

    /// <summary>Another session, or renewed tokens.</summary>
    public void Use(TokenResponse tokens)
    {
        Tokens = tokens;
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens.AccessToken);
    }

    /// <summary>Signs in once more: a session beside the one at hand.</summary>
    public async Task<TokenResponse> SignInAsync()
    {
        using var response = await Http.PostAsJsonAsync("/v1/auth/token", new TokenRequest(Username, Password), Wire.Json);
        return await response.ReadAsync<TokenResponse>();
    }

    /// <summary>A connection to the hub with this user's tokens, started. Closed with the user.</summary>
    public async Task<TestConnection> ConnectAsync(bool messagePack = false, Uri? node = null)
    {
        var connection = new TestConnection(node ?? Url, () => Tokens.AccessToken, messagePack);
        connections.Add(connection);
        await connection.Hub.StartAsync();
        // Starting ends with the handshake; a call is answered only once the connection is subscribed to its rooms.
        await connection.HeadsAsync();
        return connection;
    }

    public async Task<Room> CreateRoomAsync(IEnumerable<TestUser> others, bool visible = false, int? timeToLiveSeconds = null, RoomKind kind = RoomKind.Group)
    {
        var request = new CreateRoomRequest(kind, [.. others.Select(other => other.Username)], Visible: visible, TimeToLiveSeconds: timeToLiveSeconds);
        using var response = await Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json);
        return await response.ReadAsync<Room>();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in connections)
            await connection.DisposeAsync();
        Http.Dispose();
    }
}

/// <summary>Signing up whom a test needs.</summary>
public static class TestPeople
{
    private static readonly Random Names = Seed.For("usernames");

    public static Task<TestUser> SignUpAsync(this TestServer server, string? username = null) => SignUpAsync(server.Url, username);

    public static async Task<TestUser> SignUpAsync(Uri url, string? username = null)
    {
        var request = NewSignUp(username);
        using var http = new HttpClient { BaseAddress = url };
        using var response = await http.PostAsJsonAsync("/v1/auth/sign-up", request, Wire.Json);
        return new TestUser(url, request, await response.ReadAsync<TokenResponse>());
    }

    public static async Task<TestUser[]> SignUpAsync(this TestServer server, int count)
    {
        var users = new TestUser[count];
        for (var i = 0; i < count; i++)
            users[i] = await server.SignUpAsync();
        return users;
    }

    /// <summary>A sign-up that nobody has used before.</summary>
    public static SignUpRequest NewSignUp(string? username = null)
    {
        lock (Names)
        {
            username ??= $"u{Names.NextInt64(1L << 50):x}";
            return new SignUpRequest(username, $"{username}@example.org", $"correct horse {Names.Next()}");
        }
    }
}
