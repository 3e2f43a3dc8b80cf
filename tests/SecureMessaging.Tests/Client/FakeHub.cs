using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Client;

/// <summary>
/// The hub's side of the contract over a list in memory, on real HTTP and WebSockets. Tests make it drop pushes, lose replies and reject sends:
/// faults that are rare with the real server.
/// </summary>
internal sealed class FakeHub : IAsyncDisposable
{
    private WebApplication? app;

    public ConcurrentDictionary<Guid, List<LogEntry>> Rooms { get; } = new();

    public long FirstSeq { get; set; } = 1;

    /// <summary>Speaks a later version of the contract; see <see cref="Tomorrow"/>.</summary>
    public bool IsOfTomorrow { get; init; }

    /// <summary>The response to other REST calls: a status and JSON.</summary>
    public Func<string, (int Status, string Json)>? Rest { get; set; }

    public int TokenSeconds { get; set; } = 600;

    public int Connects;

    public int Refreshes;

    public ConcurrentBag<string> Urls { get; } = [];

    /// <summary>Called before each send is stored; a result rejects it.</summary>
    public Func<SendRequest, ErrorBody?> Refuse { get; set; } = _ => null;

    /// <summary>Called before each batch; a result rejects the whole batch.</summary>
    public Func<SendRequest[], ErrorBody?> RefuseBatch { get; set; } = _ => null;

    /// <summary>Wrong responses, used instead of the right ones until the queue is empty.</summary>
    public Queue<SendResult[]?> WrongSends { get; } = new();

    public Queue<LogPage?> WrongPages { get; } = new();

    public Queue<RoomHead[]?> WrongHeads { get; } = new();

    public int LargestBatch;

    public int LargestBatchBytes;

    /// <summary>Called after a batch is stored; true closes the connection instead of sending the reply.</summary>
    public Func<bool> LoseReply { get; set; } = () => false;

    /// <summary>Whether that connection is closed without a closing handshake.</summary>
    public bool CutsSilently { get; set; }

    public Func<bool> LosePush { get; set; } = () => false;

    public bool RefuseRefresh { get; set; }

    /// <summary>The hub's location in a redirect.</summary>
    public string? RedirectHub { get; set; }

    public Uri Address { get; private set; } = new("http://127.0.0.1:1");

    public async Task StartAsync(int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.Services.AddSingleton(this);
        builder.Services.AddSignalR(hub => hub.MaximumReceiveMessageSize = 1024 * 1024)
            .AddJsonProtocol(json =>
            {
                Wire.Configure(json.PayloadSerializerOptions);
                if (IsOfTomorrow)
                    Tomorrow.Configure(json.PayloadSerializerOptions);
            })
            .AddMessagePackProtocol(pack => pack.SerializerOptions = IsOfTomorrow ? Tomorrow.MessagePack : WireMessagePack.Options);
        app = builder.Build();
        app.Use(async (context, next) =>
        {
            Urls.Add(context.Request.Path + context.Request.QueryString.ToString());
            if (context.Request.Path == Wire.HubPath && context.Request.Headers.Authorization.ToString() != $"Bearer access-{Refreshes}")
                context.Response.StatusCode = 401;
            else if (context.Request.Path == Wire.HubPath && RedirectHub is { } other)
                (context.Response.StatusCode, context.Response.Headers.Location) = (307, other);
            else
                await next(context);
        });
        app.MapPost("/v1/auth/token", () => Tokens());
        app.MapPost("/v1/auth/refresh", () =>
        {
            if (RefuseRefresh)
            {
                return Results.Json(
                    new { code = "Unauthenticated", detail = "Over.", retryable = false }, contentType: "application/problem+json", statusCode: 401);
            }
            Interlocked.Increment(ref Refreshes);
            return Tokens();
        });
        app.MapHub<Hub>(Wire.HubPath);
        app.MapFallback((HttpContext context) => Rest?.Invoke(context.Request.Path.ToString()) is { } reply
            ? Results.Text(JsonText(JsonNode.Parse(reply.Json)), reply.Status < 400 ? "application/json" : "application/problem+json", statusCode: reply.Status)
            : Results.NotFound());
        await app.StartAsync();
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public async Task StopAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app!.StopAsync(now.Token);
        await app.DisposeAsync();
        app = null;
    }

    public List<LogEntry> Room(Guid id) => Rooms.GetOrAdd(id, _ => []);

    public LogEntry Store(Guid room, byte[] ciphertext, Guid? id = null)
    {
        lock (this)
        {
            var entry = new LogEntry(Room(room).Count + 1, EntryKind.Message, DateTime.UnixEpoch, id ?? Guid.NewGuid(), ciphertext);
            Room(room).Add(entry);
            return entry;
        }
    }

    public Task PushAsync(Guid room, params LogEntry[] entries) =>
        app!.Services.GetRequiredService<IHubContext<Hub, IChatClient>>().Clients.All.Received(room, entries);

    public Task ForAllAsync(Func<IChatClient, Task> call) => call(app!.Services.GetRequiredService<IHubContext<Hub, IChatClient>>().Clients.All);

    public Task CallAsync(string method, params object?[] arguments) =>
        app!.Services.GetRequiredService<IHubContext<Hub>>().Clients.All.SendCoreAsync(method, arguments);

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
            await StopAsync();
    }

    private IResult Tokens() => Results.Text(JsonText(JsonSerializer.SerializeToNode(
        new TokenResponse(Guid.Empty, "ada", Guid.Empty, $"access-{Refreshes}", TokenSeconds, $"refresh-{Refreshes}", DateTime.UnixEpoch), Wire.Json)),
            "application/json");

    private string JsonText(JsonNode? today) => (IsOfTomorrow ? Tomorrow.Of(today) : today)!.ToJsonString();

    private string ErrorText(ErrorBody error) => JsonText(JsonSerializer.SerializeToNode(error, Wire.Json));

    internal sealed class Hub(FakeHub fake) : Hub<IChatClient>, IChatHub
    {
        public override Task OnConnectedAsync()
        {
            Interlocked.Increment(ref fake.Connects);
            return Task.CompletedTask;
        }

        public async Task<SendAck> Send(SendRequest request) => (await SendBatch([request]))[0].Ack!;

        public async Task<SendResult[]> SendBatch(SendRequest[] requests)
        {
            fake.LargestBatch = Math.Max(fake.LargestBatch, requests.Length);
            fake.LargestBatchBytes = Math.Max(fake.LargestBatchBytes, requests.Sum(request => request.Ciphertext.Length));
            if (fake.RefuseBatch(requests) is { } refusal)
                throw new HubException(fake.ErrorText(refusal));
            if (fake.WrongSends.TryDequeue(out var wrong))
                return wrong!;
            var results = new List<SendResult>();
            ErrorBody? broken = null;
            foreach (var request in requests)
            {
                if ((broken ?? fake.Refuse(request)) is { } error)
                {
                    broken = error.Retryable ? error : null;
                    results.Add(new(null, error));
                    continue;
                }
                LogEntry? entry;
                var duplicate = true;
                lock (fake)
                {
                    var log = fake.Room(request.RoomId);
                    entry = log.Find(known => known.Id == request.ClientMessageId);
                    if (entry is null)
                    {
                        log.Add(entry = new(log.Count + 1, EntryKind.Message, DateTime.UnixEpoch, request.ClientMessageId, request.Ciphertext));
                        duplicate = false;
                    }
                }
                results.Add(new(new(request.RoomId, request.ClientMessageId, entry.Seq, entry.CreatedAt, duplicate), null));
                if (!duplicate && !fake.LosePush())
                    await Clients.All.Received(request.RoomId, [entry]);
            }
            var cut = fake.LoseReply();
            if (cut && fake.CutsSilently)
                Context.GetHttpContext()!.Abort();
            else if (cut)
                Context.Abort();
            return [.. results];
        }

        public Task<SendAck> Retract(Guid roomId, long seq) => throw new HubException(fake.ErrorText(
            new ErrorBody(ErrorCode.Forbidden, "Not yours.", false)));

        public Task<LogPage> Sync(Guid roomId, long afterSeq, int limit)
        {
            lock (fake)
            {
                if (fake.WrongPages.TryDequeue(out var wrong))
                    return Task.FromResult(wrong!);
                var log = fake.Room(roomId);
                var after = Math.Max(afterSeq, fake.FirstSeq - 1);
                return Task.FromResult(new LogPage(roomId, [.. log.Where(entry => entry.Seq > after).Take(limit)], log.Count, fake.FirstSeq));
            }
        }

        public Task<RoomHead[]> Heads()
        {
            lock (fake)
            {
                if (fake.WrongHeads.TryDequeue(out var wrong))
                    return Task.FromResult(wrong!);
                return Task.FromResult(fake.Rooms.Select(room => new RoomHead(room.Key, room.Value.Count, fake.FirstSeq, 0, 0)).ToArray());
            }
        }

        public Task Signal(Guid roomId, byte[] signal) => Clients.All.Signaled(roomId, signal);

        public Task MarkDelivered(Guid roomId, long seq) => Task.CompletedTask;
    }
}
