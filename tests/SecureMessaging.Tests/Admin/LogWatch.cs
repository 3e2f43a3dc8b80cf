using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>A bare connection to the administrators' hub that keeps what it receives.</summary>
internal sealed class LogWatch : IAsyncDisposable
{
    private readonly List<LogLine> lines = [];

    private LogWatch(Uri url, TestUser admin)
    {
        Hub = new HubConnectionBuilder()
            .WithUrl(new Uri(url, Wire.AdminHubPath), options =>
            {
                options.SkipNegotiation = true;
                options.Transports = HttpTransportType.WebSockets;
                options.AccessTokenProvider = () => Task.FromResult<string?>(admin.Tokens.AccessToken);
            })
            .AddJsonProtocol(options => Wire.Configure(options.PayloadSerializerOptions))
            .Build();
        Hub.On<LogLine[]>(nameof(IAdminClient.Logged), received =>
        {
            lock (lines)
                lines.AddRange(received);
        });
    }

    public HubConnection Hub { get; }

    public LogLine[] Lines
    {
        get
        {
            lock (lines)
                return [.. lines];
        }
    }

    public void Clear()
    {
        lock (lines)
            lines.Clear();
    }

    public static async Task<LogWatch> StartAsync(TestUser admin, LogFilter filter, Uri? node = null)
    {
        var watch = new LogWatch(node ?? admin.Url, admin);
        await watch.Hub.StartAsync();
        await watch.Hub.InvokeAsync(nameof(IAdminHub.Follow), filter);
        return watch;
    }

    public async Task<LogLine> WaitAsync(Func<LogLine, bool> wanted, Func<Task>? provoke = null)
    {
        for (var attempt = 0; attempt < 150; attempt++)
        {
            if (provoke is not null && attempt % 5 == 0)
                await provoke();
            if (Array.Find(Lines, line => wanted(line)) is { } found)
                return found;
            await Task.Delay(100);
        }

        throw new TimeoutException($"No such line among {Lines.Length}:\n{string.Join('\n', Lines.TakeLast(20))}");
    }

    public ValueTask DisposeAsync() => Hub.DisposeAsync();
}
