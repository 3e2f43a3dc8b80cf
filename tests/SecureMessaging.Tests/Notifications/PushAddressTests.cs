using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Notifications;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Notifications;

/// <summary>The server calls an address that a client names, so only the public Internet may be reachable that way.</summary>
public sealed class PushAddressTests(SqliteServer server)
{
    [Theory]
    [InlineData("http://push.example.org/1")]
    [InlineData("ftp://push.example.org/1")]
    [InlineData("https://push.example.org:8443/1")]
    [InlineData("https://user:secret@push.example.org/1")]
    [InlineData("https://push.example.org/1#part")]
    [InlineData("https://localhost/1")]
    [InlineData("https://router/1")]
    [InlineData("https://printer.local/1")]
    [InlineData("https://metadata.google.internal/1")]
    [InlineData("https://a.localhost./1")]
    [InlineData("https://\u2460\u2461\u2466.0.0.1/1")]
    [InlineData("https://127\u30020\u30020\u30021/1")]
    [InlineData("https://%31%32%37.0.0.1/1")]
    [InlineData("https://127.0.0.1./1")]
    [InlineData("https://127.0.0.1/1")]
    [InlineData("https://2130706433/1")]
    [InlineData("https://0x7f.1/1")]
    [InlineData("https://0177.0.0.1/1")]
    [InlineData("https://10.1.2.3/1")]
    [InlineData("https://169.254.169.254/latest/meta-data")]
    [InlineData("https://[::1]/1")]
    [InlineData("https://[::ffff:127.0.0.1]/1")]
    [InlineData("https://[fd00::1]/1")]
    [InlineData("/v1/me")]
    [InlineData("")]
    public async Task An_endpoint_that_is_not_a_public_push_service_is_rejected(string endpoint)
    {
        await using var anna = await server.SignUpAsync();
        await (await anna.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest(endpoint), Wire.Json)).ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.False((await anna.Http.GetFromJsonAsync<AccountSettings>("/v1/me/settings", Wire.Json))!.Push.Registered);
    }

    [Fact]
    public async Task The_length_of_an_endpoint_is_bounded()
    {
        await using var anna = await server.SignUpAsync();
        var longest = "https://push.example.org/".PadRight(Limits.Default.PushEndpointCharacters, 'a');
        Assert.Equal(204, (int)(await anna.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest(longest), Wire.Json)).StatusCode);
        await (await anna.Http.PutAsJsonAsync("/v1/me/push", new RegisterPushRequest(longest + "a"), Wire.Json)).ReadErrorAsync(413, ErrorCode.TooLarge);
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("10.255.255.255")]
    [InlineData("100.64.0.1")]
    [InlineData("100.127.255.255")]
    [InlineData("127.0.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.1.1")]
    [InlineData("198.18.0.1")]
    [InlineData("203.0.113.9")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("fe80::1")]
    [InlineData("fec0::1")]
    [InlineData("fc00::1")]
    [InlineData("fdff::1")]
    [InlineData("ff02::1")]
    [InlineData("2001:db8::1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("2001::1")]
    public void Special_addresses_are_not_public(string address) => Assert.False(PushAddress.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.1")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.1")]
    [InlineData("142.250.1.1")]
    [InlineData("::ffff:1.1.1.1")]
    [InlineData("2606:4700::1111")]
    [InlineData("2a00:1450:4001::1")]
    public void Other_addresses_are_public(string address) => Assert.True(PushAddress.IsPublic(IPAddress.Parse(address)));

    [Fact]
    public async Task A_names_addresses_are_checked_at_connect_time()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var target = new DnsEndPoint("localhost", port);
        await Assert.ThrowsAsync<PushRefusedException>(
            async () => await new PushAddress(Options.Create(new PushOptions()), Limits.Default).ConnectAsync(target, CancellationToken.None));
        Assert.False(listener.Pending());

        var allowing = new PushOptions();
        allowing.AllowedOrigins.Add($"http://localhost:{port}");
        await using var stream = await new PushAddress(Options.Create(allowing), Limits.Default).ConnectAsync(target, CancellationToken.None);
        using var accepted = await listener.AcceptTcpClientAsync();
    }

    [Fact]
    public async Task A_name_that_resolves_to_a_private_address_is_rejected()
    {
        // The name passes at registration, like one whose owner changes it later.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var options = Options.Create(new PushOptions());
        var addresses = new PushAddress(options, Limits.Default);
        using var http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = (context, cancellationToken) =>
                addresses.ConnectAsync(new DnsEndPoint("localhost", ((IPEndPoint)listener.LocalEndpoint).Port), cancellationToken),
        });
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => http.PostAsync(new Uri("https://push.example.org/1"), null));
        // The sender recognises this type, however the framework wraps it.
        Assert.IsType<PushRefusedException>(failure.GetBaseException());
        Assert.False(listener.Pending());
    }
}
