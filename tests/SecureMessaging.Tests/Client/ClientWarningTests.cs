using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>Failures without a caller come as warnings, and tokens go only to the configured server.</summary>
public sealed class ClientWarningTests : FakeHubTests
{
    [Fact]
    public async Task A_failing_store_raises_a_warning()
    {
        await using var client = await SignInAsync();
        client.Connect();
        await SendAsync(client, "one");
        Break("cursors");
        await SendAsync(client, "two");
        await TakeEventsAsync(client, 2);
        var warning = await WarnedAsync(ClientWarningKind.Store);
        Assert.StartsWith("A cursor cannot be written", warning.Message, StringComparison.Ordinal);
        Assert.Equal(room, warning.RoomId);
        Assert.IsType<IOException>(warning.Exception);
    }

    [Fact]
    public async Task An_unreachable_or_overloaded_server_raises_a_warning()
    {
        await using var client = await SignInAsync();
        var port = hub.Address.Port;
        await hub.StopAsync();
        client.Connect();
        await WarnedAsync(ClientWarningKind.Connection);
        var refusals = 1;
        hub.Refuse = _ => refusals-- > 0 ? new ErrorBody(ErrorCode.Internal, "For the moment.", true) : null;
        await hub.StartAsync(port);
        await SendAsync(client, "one");
        Assert.Contains("For the moment.", (await WarnedAsync(ClientWarningKind.Sending)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unreadable_page_raises_a_warning()
    {
        hub.Store(room, [1]);
        hub.WrongPages.Enqueue(null);
        await using var client = await SignInAsync();
        client.Connect();
        await WarnedAsync(ClientWarningKind.Reading);
        await TakeEventsAsync(client, 1);
    }

    [Fact]
    public async Task A_throwing_handler_raises_a_warning_and_a_throwing_warning_handler_is_harmless()
    {
        await using var client = await SignInAsync();
        client.StateChanged += _ => throw new InvalidOperationException("of the application");
        client.Warning += _ => throw new InvalidOperationException("of the application, again");
        client.Connect();
        Assert.Equal("of the application", (await WarnedAsync(ClientWarningKind.Handler)).Exception!.Message);
        await SendAsync(client, "one");
    }

    [Fact]
    public async Task A_send_that_makes_the_server_fail_blocks_only_its_own_room()
    {
        var other = Guid.NewGuid();
        AddRoom(other);
        hub.RefuseBatch = requests => requests.Any(request => request.TimeToLiveSeconds == 77) ? new ErrorBody(ErrorCode.Internal, "Poison.", true) : null;
        await using var client = await SignInAsync();
        await client.EnqueueAsync(room, "poison"u8.ToArray(), TimeSpan.FromSeconds(77), Soon);
        var sent = Enumerable.Range(0, 5).Select(i => client.SendAsync(other, new[] { (byte)i }, cancellationToken: Soon)).ToArray();
        client.Connect();
        Assert.Equal([1L, 2L, 3L, 4L, 5L], (await Task.WhenAll(sent).WaitAsync(TimeSpan.FromSeconds(20), Soon)).Select(receipt => receipt.Seq));
        Assert.Equal(1, client.PendingSends);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_redirect_is_an_error_and_the_password_is_not_forwarded(bool ownHandler)
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
    public async Task A_handler_that_follows_redirects_is_rejected_before_any_request()
    {
        using var sockets = new SocketsHttpHandler();
        using var handler = new HttpClientHandler();
        using var outer = new Outer { InnerHandler = new Outer { InnerHandler = new SocketsHttpHandler() } };
        foreach (var follows in new HttpMessageHandler[] { sockets, handler, outer })
        {
            var options = Options with { HttpHandler = follows, StorePath = null };
            var error = await Assert.ThrowsAsync<ArgumentException>(
                () => SecureMessagingClient.SignInAsync(hub.Address, "ada", "a long password", options, Soon));
            Assert.Contains("AllowAutoRedirect", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<ArgumentException>(() => SecureMessagingClient.ResumeAsync(hub.Address, options, Soon));
        }

        await hub.StartAsync();
        using var stays = new Outer { InnerHandler = new SocketsHttpHandler { AllowAutoRedirect = false } };
        await using var client = await SecureMessagingClient.SignInAsync(hub.Address, "ada", "a long password", Options with { HttpHandler = stays }, Soon);
        client.Connect();
        await SendAsync(client, "one");
    }

    [Fact]
    public async Task A_redirect_of_the_hub_raises_a_warning_and_the_token_is_not_forwarded()
    {
        var received = new ConcurrentQueue<string>();
        await using var elsewhere = WebApplication.CreateSlimBuilder().Build();
        elsewhere.Urls.Add("http://127.0.0.1:0");
        elsewhere.MapFallback((HttpContext context) => received.Enqueue($"{context.Request.Path} {context.Request.Headers.Authorization}"));
        await elsewhere.StartAsync(Soon);
        hub.RedirectHub = new Uri(new Uri(elsewhere.Urls.Single()), "/hub").ToString();
        await using var client = await SignInAsync();
        client.Connect();
        Assert.Contains("answers with a redirect", (await WarnedAsync(ClientWarningKind.Connection)).Message, StringComparison.Ordinal);
        Assert.Empty(received);
        hub.RedirectHub = null;
        await SendAsync(client, "one");
    }

    [Fact]
    public async Task A_failed_token_refresh_raises_a_warning()
    {
        hub.TokenSeconds = 0;
        await using var client = await SignInAsync();
        var port = hub.Address.Port;
        await hub.StopAsync();
        client.Connect();
        var warning = await WarnedAsync(ClientWarningKind.Renewal);
        Assert.StartsWith("The access token could not be renewed yet", warning.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorCode.Unavailable, Assert.IsType<SecureMessagingException>(warning.Exception).ErrorCode);
        warnings.Clear();
        Break("session");
        Assert.IsType<IOException>((await WarnedAsync(ClientWarningKind.Renewal, warning => warning.Exception is IOException)).Exception);
        Mend("session");
        hub.TokenSeconds = 600;
        await hub.StartAsync(port);
        await SendAsync(client, "one");
    }

    [Fact]
    public async Task A_session_that_cannot_be_stored_or_locked_raises_a_warning()
    {
        hub.TokenSeconds = 0;
        await using var client = await SignInAsync();
        using (new FileStream(StorePath + ".renewal", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None))
        {
            client.Connect();
            Assert.StartsWith(
                "The lock file beside the store cannot be taken", (await WarnedAsync(ClientWarningKind.Renewal)).Message, StringComparison.Ordinal);
            Execute("create trigger closed before update on session begin select raise(abort, 'closed'); end");
            hub.TokenSeconds = 600;
        }

        Assert.StartsWith("The session could not be stored", (await WarnedAsync(ClientWarningKind.Store)).Message, StringComparison.Ordinal);
        await SendAsync(client, "one");
    }

    [Fact]
    public async Task A_lost_connection_and_unreadable_logs_raise_warnings()
    {
        // More than once on a machine that stalls: a call that times out closes the connection before its loss is noticed.
        hub.LoseReply = () => warnings.All(warning => warning.Kind != ClientWarningKind.Connection);
        hub.CutsSilently = true;
        await using var client = await SignInAsync();
        client.Connect();
        var sent = SendAsync(client, "one");
        Assert.StartsWith("The connection was lost", (await WarnedAsync(ClientWarningKind.Connection)).Message, StringComparison.Ordinal);
        await sent;
        warnings.Clear();
        // This server has no administrators' hub.
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
    public async Task Plain_http_is_limited_to_this_machine_unless_allowed(string address, bool allowed)
    {
        var options = Options with { StorePath = null, CallTimeout = TimeSpan.FromMilliseconds(500) };
        if (!allowed)
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(
                () => SecureMessagingClient.SignInAsync(new Uri(address), "ada", "a long password", options, Soon));
            Assert.Contains("AllowUnencryptedHttp", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<ArgumentException>(() => SecureMessagingClient.ResumeAsync(new Uri(address), options, Soon));
            Assert.Null(await SecureMessagingClient.ResumeAsync(new Uri(address), options with { AllowUnencryptedHttp = true }, Soon));
            return;
        }
        Assert.Equal(ErrorCode.Unavailable, (await Assert.ThrowsAsync<SecureMessagingException>(() =>
            SecureMessagingClient.SignInAsync(new Uri(address), "ada", "a long password", options, Soon))).ErrorCode);
    }

    private sealed class Outer : DelegatingHandler;
}
