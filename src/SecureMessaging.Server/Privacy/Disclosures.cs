using System.Collections.Concurrent;
using System.Text;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Privacy;

/// <summary>Discloses an account's data to it, for all doors. The number of concurrent disclosures is bounded, because each reads whole rooms.</summary>
internal sealed class Disclosures(PersonalDataStore data)
{
    private const int AtOneTime = 4;
    private const int RetryAfterMs = 2000;

    /// <summary>The greatest size of a disclosure that is returned as one text.</summary>
    private const int TextBytes = 8 * 1024 * 1024;

    private readonly ConcurrentDictionary<Guid, bool> accounts = new();

    /// <summary>Throws before it writes, if a disclosure of the account or too many others are running.</summary>
    public Task WriteAsync(Guid userId, Stream output, CancellationToken cancellationToken) =>
        InTurnAsync(userId, () => data.WriteAsync(userId, output, indented: false, cancellationToken));

    public async Task<string> ReadAsync(Guid userId, CancellationToken cancellationToken)
    {
        var text = "";
        // The buffer is allocated only for an accepted request.
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
            throw new ApiException(ErrorCode.TooLarge, "The data is too large for one field. GET /v1/me/data streams it.", exception);
        }

        return Encoding.UTF8.GetString(text, 0, (int)output.Position);
    }

    private async Task InTurnAsync(Guid userId, Func<Task> read)
    {
        if (!accounts.TryAdd(userId, true))
            throw new ApiException(ErrorCode.RateLimited, "A disclosure of this account is already running.") { RetryAfterMs = RetryAfterMs };
        try
        {
            if (accounts.Count > AtOneTime)
                throw new ApiException(ErrorCode.Overloaded, "The server is busy. Try again later.") { RetryAfterMs = RetryAfterMs };
            await read();
        }
        finally
        {
            accounts.TryRemove(userId, out _);
        }
    }
}
