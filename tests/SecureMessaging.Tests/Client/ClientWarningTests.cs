using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>Failures that no caller is told of come as warnings, and tokens go to no other server than the one that was named.</summary>
public sealed class ClientWarningTests : IAsyncDisposable
{
    private static CancellationToken Soon => TestContext.Current.CancellationToken;
    private readonly FakeHub _hub = new();
    private readonly SharedKeyCipher _cipher = new();
    private readonly Guid _room = Guid.NewGuid();
    private readonly ConcurrentQueue<ClientWarning> _warnings = new();
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "secmsg-" + Guid.NewGuid().ToString("N"));

    public ClientWarningTests()
    {
        _cipher.AddRoom(_room, SharedKeyCipher.GenerateKey());
        _hub.Room(_room);
    }

    private ClientOptions Options => new()
    {
        Cipher = _cipher,
        StorePath = Path.Combine(_folder, "client.db"),
        MaxReconnectDelay = TimeSpan.FromMilliseconds(100),
        HeadCheckInterval = TimeSpan.FromHours(1),
    };

    [Fact]
    public async Task A_store_that_fails_is_a_warning()
    {
        await using var client = await SignInAsync();
        client.Connect();
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon);
        Execute("alter table cursors rename to cursors_away");
        await client.SendAsync(_room, "two"u8.ToArray(), cancellationToken: Soon);
        await TakeAsync(client, 2);
        var warning = await WarnedAsync(ClientWarningKind.Store);
        Assert.StartsWith("A cursor cannot be written", warning.Message, StringComparison.Ordinal);
        Assert.Equal(_room, warning.RoomId);
        Assert.IsType<IOException>(warning.Exception);
    }

    [Fact]
    public async Task A_server_that_is_away_and_one_that_refuses_for_the_moment_are_warnings()
    {
        await using var client = await SignInAsync();
        var port = _hub.Address.Port;
        await _hub.StopAsync();
        client.Connect();
        await WarnedAsync(ClientWarningKind.Connection);
        var refusals = 1;
        _hub.Refuse = _ => refusals-- > 0 ? new ErrorBody(ErrorCode.Internal, "For the moment.", true) : null;
        await _hub.StartAsync(port);
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.Contains("For the moment.", (await WarnedAsync(ClientWarningKind.Sending)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_that_cannot_be_read_is_a_warning()
    {
        _hub.Store(_room, [1]);
        _hub.WrongPages.Enqueue(null);
        await using var client = await SignInAsync();
        client.Connect();
        await WarnedAsync(ClientWarningKind.Reading);
        await TakeAsync(client, 1);
    }

    [Fact]
    public async Task A_handler_that_throws_is_a_warning_and_one_of_warnings_does_no_harm()
    {
        await using var client = await SignInAsync();
        client.StateChanged += _ => throw new InvalidOperationException("of the application");
        client.Warning += _ => throw new InvalidOperationException("of the application, again");
        client.Connect();
        Assert.Equal("of the application", (await WarnedAsync(ClientWarningKind.Handler)).Exception!.Message);
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
    }

    [Fact]
    public async Task A_send_that_makes_the_server_fail_holds_up_its_own_room_alone()
    {
        var other = Guid.NewGuid();
        _cipher.AddRoom(other, SharedKeyCipher.GenerateKey());
        _hub.Room(other);
        _hub.RefuseBatch = requests => requests.Any(request => request.TimeToLiveSeconds == 77) ? new ErrorBody(ErrorCode.Internal, "Poison.", true) : null;
        await using var client = await SignInAsync();
        await client.EnqueueAsync(_room, "poison"u8.ToArray(), TimeSpan.FromSeconds(77), Soon);
        var sent = Enumerable.Range(0, 5).Select(i => client.SendAsync(other, new[] { (byte)i }, cancellationToken: Soon)).ToArray();
        client.Connect();
        Assert.Equal([1L, 2L, 3L, 4L, 5L], (await Task.WhenAll(sent).WaitAsync(TimeSpan.FromSeconds(20), Soon)).Select(receipt => receipt.Seq));
        Assert.Equal(1, client.PendingSends);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_redirect_is_an_error_and_the_password_goes_nowhere_else(bool ownHandler)
    {
        var bodies = new ConcurrentQueue<string>();
        var builder = WebApplication.CreateSlimBuilder();
        await using var elsewhere = builder.Build();
        elsewhere.Urls.Add("http://127.0.0.1:0");
        elsewhere.MapPost("/elsewhere", async (HttpContext context) => bodies.Enqueue(await new StreamReader(context.Request.Body).ReadToEndAsync()));
        elsewhere.MapPost("/v1/auth/token", (HttpContext context) =>
        {
            context.Response.Headers.Location = "/elsewhere";
            context.Response.StatusCode = StatusCodes.Status307TemporaryRedirect;
        });
        await elsewhere.StartAsync(Soon);
        var address = new Uri(elsewhere.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        using var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
        var error = await Assert.ThrowsAsync<SecureMessagingException>(() => SecureMessagingClient.SignInAsync(
            address, "ada", "a long password", Options with { HttpHandler = ownHandler ? handler : null, StorePath = null }, Soon));
        Assert.Contains("answers with a redirect", error.Message, StringComparison.Ordinal);
        Assert.True(error.Retryable);
        Assert.Empty(bodies);
    }

    [Fact]
    public async Task A_handler_that_follows_redirects_is_refused_before_anything_is_sent()
    {
        using var sockets = new SocketsHttpHandler();
        using var handler = new HttpClientHandler();
        using var outer = new Outer { InnerHandler = new Outer { InnerHandler = new SocketsHttpHandler() } };
        foreach (var follows in new HttpMessageHandler[] { sockets, handler, outer })
        {
            var options = Options with { HttpHandler = follows, StorePath = null };
            var error = await Assert.ThrowsAsync<ArgumentException>(() => SecureMessagingClient.SignInAsync(_hub.Address, "ada", "a long password", options, Soon));
            Assert.Contains("AllowAutoRedirect", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<ArgumentException>(() => SecureMessagingClient.ResumeAsync(_hub.Address, options, Soon));
        }

        await _hub.StartAsync();
        using var stays = new Outer { InnerHandler = new SocketsHttpHandler { AllowAutoRedirect = false } };
        await using var client = await SecureMessagingClient.SignInAsync(_hub.Address, "ada", "a long password", Options with { HttpHandler = stays }, Soon);
        client.Connect();
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
    }

    [Fact]
    public async Task A_redirect_of_the_hub_is_a_warning_and_the_token_goes_nowhere_else()
    {
        var heard = new ConcurrentQueue<string>();
        await using var elsewhere = WebApplication.CreateSlimBuilder().Build();
        elsewhere.Urls.Add("http://127.0.0.1:0");
        elsewhere.MapFallback((HttpContext context) => heard.Enqueue($"{context.Request.Path} {context.Request.Headers.Authorization}"));
        await elsewhere.StartAsync(Soon);
        _hub.RedirectHub = new Uri(new Uri(elsewhere.Urls.Single()), "/hub").ToString();
        await using var client = await SignInAsync();
        client.Connect();
        Assert.Contains("answers with a redirect", (await WarnedAsync(ClientWarningKind.Connection)).Message, StringComparison.Ordinal);
        Assert.Empty(heard);
        _hub.RedirectHub = null;
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
    }

    [Fact]
    public async Task A_token_that_cannot_be_renewed_yet_is_a_warning()
    {
        _hub.TokenSeconds = 0;
        await using var client = await SignInAsync();
        var port = _hub.Address.Port;
        await _hub.StopAsync();
        client.Connect();
        var warning = await WarnedAsync(ClientWarningKind.Renewal);
        Assert.StartsWith("The access token could not be renewed yet", warning.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorCode.Unavailable, Assert.IsType<SecureMessagingException>(warning.Exception).ErrorCode);
        _warnings.Clear();
        Execute("alter table session rename to session_away");
        Assert.IsType<IOException>((await WarnedAsync(ClientWarningKind.Renewal, warning => warning.Exception is IOException)).Exception);
        Execute("alter table session_away rename to session");
        _hub.TokenSeconds = 600;
        await _hub.StartAsync(port);
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
    }

    [Fact]
    public async Task A_session_that_cannot_be_stored_and_a_lock_that_cannot_be_taken_are_warnings()
    {
        _hub.TokenSeconds = 0;
        await using var client = await SignInAsync();
        using (new FileStream(Options.StorePath + ".renewal", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None))
        {
            client.Connect();
            Assert.StartsWith("The lock file beside the store cannot be taken", (await WarnedAsync(ClientWarningKind.Renewal)).Message, StringComparison.Ordinal);
            Execute("create trigger closed before update on session begin select raise(abort, 'closed'); end");
            _hub.TokenSeconds = 600;
        }

        Assert.StartsWith("The session could not be stored", (await WarnedAsync(ClientWarningKind.Store)).Message, StringComparison.Ordinal);
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
    }

    [Fact]
    public async Task A_connection_that_is_lost_and_logs_that_cannot_be_followed_are_warnings()
    {
        var losses = 1;
        _hub.LoseReply = () => losses-- > 0;
        _hub.CutsSilently = true;
        await using var client = await SignInAsync();
        client.Connect();
        await client.SendAsync(_room, "one"u8.ToArray(), cancellationToken: Soon).WaitAsync(TimeSpan.FromSeconds(10), Soon);
        Assert.StartsWith("The connection was lost", (await WarnedAsync(ClientWarningKind.Connection)).Message, StringComparison.Ordinal);
        _warnings.Clear();
        // There is no hub of administrators.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Soon);
        var following = Task.Run(
            async () =>
            {
                await foreach (var line in client.Admin.FollowLogsAsync(new LogFilter(), cancellationToken: stop.Token))
                    Assert.Fail(line.Message);
            },
            Soon);
        Assert.StartsWith("Connecting to the logs failed", (await WarnedAsync(ClientWarningKind.Connection)).Message, StringComparison.Ordinal);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
    }

    [Theory]
    [InlineData("http://chat.example.org", false)]
    [InlineData("http://192.168.1.5:5080", false)]
    [InlineData("http://localhost.example.org", false)]
    [InlineData("http://127.0.0.1:1", true)]
    [InlineData("http://[::1]:1", true)]
    [InlineData("http://localhost:1", true)]
    public async Task Unencrypted_http_leads_to_this_machine_alone_unless_it_is_allowed(string address, bool allowed)
    {
        var options = Options with { StorePath = null, CallTimeout = TimeSpan.FromMilliseconds(500) };
        if (!allowed)
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(() => SecureMessagingClient.SignInAsync(new Uri(address), "ada", "a long password", options, Soon));
            Assert.Contains("AllowUnencryptedHttp", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<ArgumentException>(() => SecureMessagingClient.ResumeAsync(new Uri(address), options, Soon));
            Assert.Null(await SecureMessagingClient.ResumeAsync(new Uri(address), options with { AllowUnencryptedHttp = true }, Soon));
            return;
        }
        Assert.Equal(ErrorCode.Unavailable, (await Assert.ThrowsAsync<SecureMessagingException>(() =>
            SecureMessagingClient.SignInAsync(new Uri(address), "ada", "a long password", options, Soon))).ErrorCode);
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    private async Task<ClientWarning> WarnedAsync(ClientWarningKind kind, Func<ClientWarning, bool>? which = null)
    {
        for (var i = 0; i < 400; i++)
        {
            if (_warnings.FirstOrDefault(warning => warning.Kind == kind && which?.Invoke(warning) is not false) is { } found)
                return found;
            await Task.Delay(25, Soon);
        }
        throw new TimeoutException($"No warning of {kind} among: {string.Join("; ", _warnings)}");
    }

    private static async Task TakeAsync(SecureMessagingClient client, int count)
    {
        await foreach (var happened in client.ReadAllAsync(Soon))
        {
            Assert.NotNull(happened);
            if (--count == 0)
                return;
        }
    }

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Options.StorePath};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private async Task<SecureMessagingClient> SignInAsync()
    {
        await _hub.StartAsync();
        var client = await SecureMessagingClient.SignInAsync(_hub.Address, "ada", "a long password", Options, Soon);
        client.Warning += _warnings.Enqueue;
        return client;
    }

    private sealed class Outer : DelegatingHandler;
}
