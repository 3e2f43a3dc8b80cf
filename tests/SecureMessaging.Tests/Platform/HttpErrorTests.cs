using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Requests that reach no endpoint get their real error instead of 401.</summary>
public sealed class HttpErrorTests(SqliteServer server)
{
    [Theory]
    [InlineData("GET", "/v1/auth/token", 405)]
    [InlineData("POST", "/v1/limits", 405)]
    [InlineData("DELETE", "/v1/rooms", 405)]
    [InlineData("GET", "/hubs/chat", 400)]
    [InlineData("POST", "/hubs/chat/negotiate?negotiateVersion=1", 400)]
    public async Task A_wrong_method_gets_a_clear_error(string method, string path, int status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await server.Http.SendAsync(request);
        await response.ReadErrorAsync(status, ErrorCode.Invalid);
    }

    [Fact]
    public async Task An_unknown_path_points_to_the_documents()
    {
        using var unknown = await server.Http.GetAsync("/v1/roms");
        Assert.Contains("/openapi/v1.json", (await unknown.ReadErrorAsync(404, ErrorCode.NotFound)).Message, StringComparison.Ordinal);
        using var unauthenticated = await server.Http.GetAsync("/v1/me");
        Assert.Contains("Authorization: Bearer", (await unauthenticated.ReadErrorAsync(401, ErrorCode.Unauthenticated)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("application/json; charset=bogus")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task A_wrong_media_type_gets_a_clear_error(string type)
    {
        using var content = new StringContent("""{"username":"a","password":"b"}""", Encoding.UTF8);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        using var response = await server.Http.PostAsync("/v1/auth/token", content);
        await response.ReadErrorAsync(415, ErrorCode.Invalid);
    }

    [Theory]
    [InlineData("""{"username":7,"password":"b"}""", "#/username", "username must be a string.")]
    [InlineData("""{"username":"a","password":""", "#/password", "password is not valid JSON at line 1, byte 28.")]
    [InlineData("""{"username":"a"}""", "#/password", "password must be given.")]
    [InlineData("""{"username":null,"password":"b"}""", "#/username", "username must not be null.")]
    [InlineData("""{"username":"a","username":"a","password":"b"}""", "#/username", "username must be given once.")]
    [InlineData("[]", "#", "The body must be an object.")]
    [InlineData("null", "#", "A JSON body must be given.")]
    [InlineData("", "#", "A JSON body must be given.")]
    [InlineData("{", "#", "The body is not valid JSON at line 1, byte 2.")]
    public async Task The_position_of_an_error_in_a_body_is_named(string body, string pointer, string detail)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await server.Http.PostAsync("/v1/auth/token", content);
        var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Equal([new FieldError(detail, pointer)], error.Errors!);
        Assert.Equal(detail, error.Message);
    }

    [Fact]
    public async Task All_missing_members_are_named()
    {
        using var content = new StringContent("{}", Encoding.UTF8, "application/json");
        using var response = await server.Http.PostAsync("/v1/auth/sign-up", content);
        var error = await response.ReadErrorAsync(400, ErrorCode.Invalid);
        Assert.Equal(["#/username", "#/email", "#/password"], error.Errors!.Select(field => field.Pointer));
        Assert.Equal("username must be given. email must be given. password must be given.", error.Message);
    }
}

/// <summary>A server that cannot start reports the reason in one sentence.</summary>
public sealed class StartTests
{
    [Theory]
    [InlineData("--ConnectionStrings:Postgres=nonsense", "ConnectionStrings:Postgres")]
    [InlineData("--ConnectionStrings:Postgres=Host=127.0.0.1;NoSuchWord=1", "ConnectionStrings:Postgres")]
    [InlineData("--ConnectionStrings:Postgres=Host=127.0.0.1;Port=1;Username=x", "Postgres cannot be used")]
    [InlineData("--urls=nonsense", "urls has \"nonsense\"")]
    [InlineData("--urls=http://127.0.0.1:80x", "urls has \"http://127.0.0.1:80x\"")]
    [InlineData("--urls=http://:5080", "urls has")]
    [InlineData("--urls=:80x", "urls has")]
    [InlineData("--urls=http://127.0.0.1:99999", "urls has")]
    [InlineData("--urls=http://127.1:5080", "urls has")]
    [InlineData("--urls=http://127.0.0.1:0;http://example.org:5080", "urls has \"http://example.org:5080\"")]
    [InlineData("--urls=https://127.0.0.1:5443", "there is no certificate: set Kestrel:Certificates:Default:Path")]
    [InlineData("--Kestrel:Endpoints:Public:Url=http://[::1:5080", "Kestrel:Endpoints:Public:Url has")]
    [InlineData("--Management:Url=http://127.0.0.1:50x", "Management:Url has")]
    [InlineData("--ConnectionStrings:Redis=redis://nothing", "ConnectionStrings:Redis is not")]
    [InlineData("--Logs:Level=Loud", "Logs:Level is \"Loud\", and takes one of Verbose")]
    [InlineData("--ConnectionStrings:Redis=,", "ConnectionStrings:Redis is not")]
    [InlineData("--Logs:File=/proc/nope/server.log", "Logs:File /proc/nope/server.log cannot be written: ")]
    [InlineData("--Logs:File=/etc/hostname/server.log", "Logs:File /etc/hostname/server.log cannot be written: ")]
    [InlineData("--Retention:Period=soon", "Retention:Period is \"soon\", and takes a time such as 00:01:00")]
    [InlineData("--Retention:Period=00:00:00", "Retention:Period is 00:00:00, and takes 00:00:01 to 1.00:00:00.")]
    [InlineData("--RateLimits:Sends:Burst=many", "RateLimits:Sends:Burst is \"many\", and takes a whole number.")]
    [InlineData("--Server:NodeName=a name", "Server:NodeName is \"a name\"")]
    [InlineData("--Server:DataDir=/tmp", "Server:DataDir is not a setting of this server. Did you mean Server:DataDirectory?")]
    [InlineData("--datadirectory=/tmp", "Did you mean Server:DataDirectory?")]
    [InlineData("--RateLimits:Sends:Brust=1", "Did you mean RateLimits:Sends:Burst?")]
    [InlineData("--Server:AllowedOrigins=https://example.org", "Server:AllowedOrigins is not a setting")]
    [InlineData("--Server:MaxConnections", "--Server:MaxConnections has no value")]
    [InlineData("verbose", "Verbs: serve")]
    [InlineData("--config=/nowhere.json", "There is no file /nowhere.json")]
    [InlineData("--Messages:QueueLength=abc", "QueueLength")]
    [InlineData("--Messages:QueueLength=0", "QueueLength")]
    [InlineData("--Limits:BatchBytes=100", "Limits:BatchBytes must not be below Limits:CiphertextBytes")]
    [InlineData("--RateLimits:SignUps:Burst=0", "A rule of RateLimits has a Burst from 1")]
    [InlineData("--Server:KnownProxies:0=proxy.example.org", "Server:KnownProxies takes addresses")]
    [InlineData("--Server:DataDirectory=/proc/nope", "/proc/nope")]
    [InlineData("--Server:DataDirectory=/etc/hostname", "/etc/hostname")]
    [InlineData("--Server:DataDirectory=", "Server:DataDirectory must not be empty.")]
    [InlineData("--urls=;", "urls has \";\", and takes addresses")]
    [InlineData("--ConnectionStrings:Postgres=Host=", "ConnectionStrings:Postgres is not a connection string such as")]
    [InlineData("--ConnectionStrings:Postgres=Username=sm", "ConnectionStrings:Postgres is not a connection string such as")]
    public async Task A_bad_setting_is_one_sentence_and_exit_code_1(string argument, string named)
    {
        using var directory = new TestDirectory();
        await using var server = new ServerProcess(directory.Path, null, argument);
        server.Launch();
        await server.ExitedAsync();
        Assert.Equal(1, server.ExitCode);
        Assert.Contains(server.Output, line => line.Contains(named, StringComparison.Ordinal));
        Assert.DoesNotContain(server.Output, line => line.Contains("   at ", StringComparison.Ordinal) || line.Contains("Unhandled", StringComparison.Ordinal));
        // The database is changed only after all settings are checked.
        Assert.DoesNotContain(server.Output, line => line.Contains("applied", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_port_in_use_names_the_setting()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        using var directory = new TestDirectory();
        await using var server = new ServerProcess(directory.Path, null, $"--urls=http://{taken.LocalEndpoint}");
        server.Launch();
        await server.ExitedAsync();
        Assert.Equal(1, server.ExitCode);
        Assert.Contains(server.Output, line => line.Contains($"{taken.LocalEndpoint}: address already in use", StringComparison.Ordinal)
            && line.Contains("--urls=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_that_is_not_a_database_is_named()
    {
        using var directory = new TestDirectory();
        Directory.CreateDirectory(directory.Path);
        await File.WriteAllTextAsync(Path.Combine(directory.Path, "secure-messaging.db"), new string('x', 8192));
        await using var server = new ServerProcess(directory.Path);
        server.Launch();
        await server.ExitedAsync();
        Assert.Equal(1, server.ExitCode);
        Assert.Contains(server.Output, line => line.Contains("secure-messaging.db cannot be used", StringComparison.Ordinal));
        Assert.DoesNotContain(server.Output, line => line.Contains("   at ", StringComparison.Ordinal));
    }
}
