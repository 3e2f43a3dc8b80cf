using System.Collections.Concurrent;
using System.Text;
using Microsoft.Data.Sqlite;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Client;

/// <summary>The base of tests of the SDK with a <see cref="FakeHub"/>: one user, one room, and a store that can fail.</summary>
public abstract class FakeHubTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private protected readonly FakeHub hub;
    private protected readonly SharedKeyCipher cipher = new();
    private protected readonly Guid room = Guid.NewGuid();
    private protected readonly TestDirectory folder = new();
    private protected readonly ConcurrentQueue<ClientWarning> warnings = new();

    private protected FakeHubTests(bool isOfTomorrow = false)
    {
        hub = new() { IsOfTomorrow = isOfTomorrow };
        AddRoom(room);
    }

    private protected static CancellationToken Soon => TestContext.Current.CancellationToken;

    private protected string StorePath => folder.Combine("client.db");

    private protected virtual ClientOptions Options => new()
    {
        Cipher = cipher,
        StorePath = StorePath,
        MaxReconnectDelay = TimeSpan.FromMilliseconds(200),
        HeadCheckInterval = TimeSpan.FromHours(1),
    };

    public async ValueTask DisposeAsync()
    {
        await hub.DisposeAsync();
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected void AddRoom(Guid id)
    {
        cipher.AddRoom(id, SharedKeyCipher.GenerateKey());
        hub.Room(id);
    }

    private protected async Task<SecureMessagingClient> SignInAsync(ClientOptions? options = null)
    {
        await hub.StartAsync();
        var client = await SecureMessagingClient.SignInAsync(hub.Address, "ada", "a long password", options ?? Options, Soon);
        client.Warning += warnings.Enqueue;
        return client;
    }

    /// <summary>Waits for a warning.</summary>
    private protected async Task<ClientWarning> WarnedAsync(ClientWarningKind kind, Func<ClientWarning, bool>? which = null)
    {
        ClientWarning? Find() => warnings.FirstOrDefault(warning => warning.Kind == kind && which?.Invoke(warning) is not false);
        await Eventually.TrueAsync(
            () => Find() is not null,
            () => $"No warning of {kind} among: {string.Join("; ", warnings.Select(warning => warning.Message).Distinct())}");
        return Find()!;
    }

    /// <summary>Sends, and waits until the server has stored it.</summary>
    private protected Task<SendReceipt> SendAsync(SecureMessagingClient client, string text) =>
        client.SendAsync(room, Encoding.UTF8.GetBytes(text), cancellationToken: Soon).WaitAsync(Patience, Soon);

    /// <summary>Another user's message in the log, without a push.</summary>
    private protected LogEntry Post(string text)
    {
        var id = Guid.NewGuid();
        return hub.Store(room, cipher.Seal(room, new(id, Guid.Empty, "bob", DateTimeOffset.UnixEpoch), Encoding.UTF8.GetBytes(text)), id);
    }

    /// <summary>The next events.</summary>
    private protected static async Task<List<RoomEvent>> TakeEventsAsync(SecureMessagingClient client, int count)
    {
        var events = new List<RoomEvent>();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Soon);
        patience.CancelAfter(Patience);
        await foreach (var happened in client.ReadAllAsync(patience.Token))
        {
            events.Add(happened);
            if (events.Count == count)
                break;
        }

        return events;
    }

    /// <summary>The texts of the next messages.</summary>
    private protected static async Task<List<string>> TakeAsync(SecureMessagingClient client, int count) =>
        (await TakeEventsAsync(client, count)).ConvertAll(happened => TextOf((MessageReceived)happened));

    private protected static string TextOf(MessageReceived message) => Encoding.UTF8.GetString(message.Envelope.Content);

    /// <summary>From now on every statement on the table of the store fails, as on a full or unplugged disk.</summary>
    private protected void Break(string table) => Execute($"alter table {table} rename to {table}_away");

    private protected void Mend(string table) => Execute($"alter table {table}_away rename to {table}");

    private protected void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={StorePath};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
