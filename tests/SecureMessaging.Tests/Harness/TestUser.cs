using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.WebSockets;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>An account signed up over HTTP, with a client that carries its access token.</summary>
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

    /// <summary>Changes to another session, or to renewed tokens.</summary>
    public void Use(TokenResponse tokens)
    {
        Tokens = tokens;
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens.AccessToken);
    }

    /// <summary>Signs in again: a second session.</summary>
    public async Task<TokenResponse> SignInAsync()
    {
        using var response = await Http.PostAsJsonAsync("/v1/auth/token", new TokenRequest(Username, Password), Wire.Json);
        return await response.ReadAsync<TokenResponse>();
    }

    /// <summary>A started hub connection with this user's tokens. Closed with the user.</summary>
    public async Task<TestConnection> ConnectAsync(bool messagePack = false, Uri? node = null)
    {
        var connection = new TestConnection(node ?? Url, () => Tokens.AccessToken, messagePack);
        connections.Add(connection);
        await connection.Hub.StartAsync();
        // Starting ends with the handshake; a call completes only once the connection is subscribed to its rooms.
        await connection.HeadsAsync();
        return connection;
    }

    public async Task<Room> CreateRoomAsync(IEnumerable<TestUser> others, bool visible = false, int? timeToLiveSeconds = null, RoomKind kind = RoomKind.Group)
    {
        var request = new CreateRoomRequest(kind, [.. others.Select(other => other.Username)], Visible: visible, TimeToLiveSeconds: timeToLiveSeconds);
        using var response = await Http.PostAsJsonAsync("/v1/rooms", request, Wire.Json);
        return await response.ReadAsync<Room>();
    }

    public async Task AddMemberAsync(Guid roomId, TestUser user) =>
        (await Http.PostAsJsonAsync($"/v1/rooms/{roomId}/members", new AddMemberRequest(user.Username), Wire.Json)).EnsureSuccessStatusCode();

    public async Task RemoveMemberAsync(Guid roomId, TestUser user) =>
        (await Http.DeleteAsync($"/v1/rooms/{roomId}/members/{user.Id}")).EnsureSuccessStatusCode();

    /// <summary>A ticket for one WebSocket handshake.</summary>
    public async Task<string> TicketAsync()
    {
        using var response = await Http.PostAsync("/v1/auth/ticket", null);
        return (await response.ReadAsync<TicketResponse>()).Ticket;
    }

    /// <summary>An open WebSocket with this user's token, before SignalR's handshake.</summary>
    public async Task<ClientWebSocket> OpenWebSocketAsync(Uri? node = null, string path = Wire.HubPath, Action<ClientWebSocketOptions>? configure = null)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", "Bearer " + Tokens.AccessToken);
        configure?.Invoke(socket.Options);
        await socket.ConnectAsync(new UriBuilder(node ?? Url) { Scheme = "ws", Path = path }.Uri, CancellationToken.None);
        return socket;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in connections)
            await connection.DisposeAsync();
        Http.Dispose();
    }
}

/// <summary>Signs up users for tests.</summary>
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

    /// <summary>A sign-up with an unused name.</summary>
    public static SignUpRequest NewSignUp(string? username = null)
    {
        lock (Names)
        {
            username ??= $"u{Names.NextInt64(1L << 50):x}";
            return new SignUpRequest(username, $"{username}@example.org", $"correct horse {Names.Next()}");
        }
    }
}
