using System.Collections.Concurrent;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Privacy;

/// <summary>Bounds how much is disclosed at one time, for whoever asks makes the server read whole rooms.</summary>
internal sealed class Disclosures(PersonalDataStore data)
{
    private const int AtOneTime = 4;
    private const int RetryAfterMs = 2000;

    /// <summary>Of what is answered as one piece.</summary>
    private const int TextBytes = 8 * 1024 * 1024;

    private readonly ConcurrentDictionary<Guid, bool> accounts = new();

    /// <summary>Refuses, before anything is written, while the account's data is being read or too many others' is.</summary>
    public Task WriteAsync(Guid userId, Stream output, CancellationToken cancellationToken) =>
        InTurnAsync(userId, () => data.WriteAsync(userId, output, indented: false, cancellationToken));

    public async Task<string> ReadAsync(Guid userId, CancellationToken cancellationToken)
    {
        var text = "";
        // Whoever is refused costs no memory.
        await InTurnAsync(userId, async () => text = await ReadTextAsync(userId, cancellationToken));
        return text;
    }

    private async Task<string> ReadTextAsync(Guid userId, CancellationToken cancellationToken)
    {
        var text = new byte[TextBytes];
        using var output = new MemoryStream(text);
        try
        {
            await data.WriteAsync(userId, output, indented: false, cancellationToken);
        }
        catch (NotSupportedException exception)
        {
            throw new ApiException(ErrorCode.TooLarge, "The answer is too large for one piece; GET /v1/me/data streams it.", exception);
        }

        return Encoding.UTF8.GetString(text, 0, (int)output.Position);
    }

    private async Task InTurnAsync(Guid userId, Func<Task> read)
    {
        if (!accounts.TryAdd(userId, true))
            throw new ApiException(ErrorCode.RateLimited, "The data of this account is being read already.") { RetryAfterMs = RetryAfterMs };
        try
        {
            if (accounts.Count > AtOneTime)
                throw new ApiException(ErrorCode.Overloaded, "The server is busy; ask again later.") { RetryAfterMs = RetryAfterMs };
            await read();
        }
        finally
        {
            accounts.TryRemove(userId, out _);
        }
    }
}
