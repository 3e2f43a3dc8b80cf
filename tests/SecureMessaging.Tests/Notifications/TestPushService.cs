using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace SecureMessaging.Tests.Notifications;

/// <summary>A push as the push service received it.</summary>
internal sealed record ReceivedPush(string Method, string Path, Dictionary<string, string> Headers, int BodyBytes);

/// <summary>A push service on this machine that records pushes.</summary>
internal sealed class TestPushService : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Channel<ReceivedPush> received = Channel.CreateUnbounded<ReceivedPush>();
    private readonly ConcurrentQueue<ReceivedPush> all = new();

    private TestPushService()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        app = builder.Build();
        app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            var push = new ReceivedPush(
                context.Request.Method, context.Request.Path,
                context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
                (int)body.Length);
            Answer(context);
            await context.Response.CompleteAsync();
            all.Enqueue(push);
            received.Writer.TryWrite(push);
        });
    }

    public string Origin { get; private set; } = "";

    /// <summary>The response to a push; 201 by default.</summary>
    public Action<HttpContext> Answer { get; set; } = context => context.Response.StatusCode = StatusCodes.Status201Created;

    public static async Task<TestPushService> StartAsync()
    {
        var service = new TestPushService();
        await service.app.StartAsync();
        service.Origin = service.app.Urls.Single();
        return service;
    }

    /// <summary>The next unread push.</summary>
    public async Task<ReceivedPush> NextAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        return await received.Reader.ReadAsync(patience.Token);
    }

    public int Count(string path) => all.Count(push => push.Path == path);

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
