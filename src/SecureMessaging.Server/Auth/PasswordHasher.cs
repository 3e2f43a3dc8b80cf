using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using NSec.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Auth;

/// <summary>
/// Argon2id (RFC 9106) in PHC string format. At most one hash a processor runs at a time and the queue is bounded,
/// so that a flood of sign-ins costs neither all memory nor all threads.
/// </summary>
internal sealed class PasswordHasher : IDisposable
{
    private const int SaltBytes = 16;
    private const int HashBytes = 32;
    private readonly SemaphoreSlim slots = new(Environment.ProcessorCount);
    private readonly int capacity;
    private readonly Cost cost;
    private readonly string dummy;
    private int admitted;

    public PasswordHasher(IOptions<AuthOptions> options)
    {
        cost = new Cost(options.Value.HashMemoryKiB, options.Value.HashPasses);
        capacity = Environment.ProcessorCount + options.Value.HashQueue;
        dummy = Write(cost, RandomNumberGenerator.GetBytes(SaltBytes), RandomNumberGenerator.GetBytes(HashBytes));
    }

    public Task<string> HashAsync(string password, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                var salt = RandomNumberGenerator.GetBytes(SaltBytes);
                return Write(cost, salt, Derive(password, cost, salt, HashBytes));
            },
            cancellationToken);

    /// <summary>Whether the password fits. Without a hash (no such account) it does the same work and says no.</summary>
    public Task<bool> VerifyAsync(string password, string? hash, CancellationToken cancellationToken) =>
        RunAsync(
            () =>
            {
                var (stored, salt, expected) = Read(hash ?? dummy);
                return CryptographicOperations.FixedTimeEquals(Derive(password, stored, salt, expected.Length), expected) && hash is not null;
            },
            cancellationToken);

    /// <summary>Whether the hash was made with parameters below today's.</summary>
    public bool IsOutdated(string hash)
    {
        var stored = Read(hash).Cost;
        return stored.MemoryKiB < cost.MemoryKiB || stored.Passes < cost.Passes;
    }

    public void Dispose() => slots.Dispose();

    private async Task<T> RunAsync<T>(Func<T> work, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref admitted) > capacity)
        {
            Interlocked.Decrement(ref admitted);
            throw new ApiException(ErrorCode.Overloaded, "Too many sign-ins at once.") { RetryAfterMs = 1000 };
        }

        try
        {
            await slots.WaitAsync(cancellationToken);
            try
            {
                return await Task.Run(work, CancellationToken.None);
            }
            finally
            {
                slots.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref admitted);
        }
    }

    private static byte[] Derive(string password, Cost cost, byte[] salt, int length)
    {
        var secret = Encoding.UTF8.GetBytes(password);
        try
        {
            return new Argon2id(new Argon2Parameters { DegreeOfParallelism = 1, MemorySize = cost.MemoryKiB, NumberOfPasses = cost.Passes })
                .DeriveBytes(secret, salt, length);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    private static string Write(Cost cost, byte[] salt, byte[] hash) =>
        $"$argon2id$v=19$m={cost.MemoryKiB},t={cost.Passes},p=1${Base64(salt)}${Base64(hash)}";

    private static (Cost Cost, byte[] Salt, byte[] Hash) Read(string text)
    {
        if (text.Split('$') is ["", "argon2id", "v=19", var parameters, var salt, var hash]
            && parameters.Split(',') is [['m', '=', .. var memory], ['t', '=', .. var passes], "p=1"]
            && int.TryParse(memory, out var m) && int.TryParse(passes, out var t))
        {
            return (new Cost(m, t), FromBase64(salt), FromBase64(hash));
        }

        throw new InvalidOperationException("A stored password hash is not in the format that this server writes.");
    }

    private static string Base64(byte[] bytes) => Convert.ToBase64String(bytes).TrimEnd('=');

    private static byte[] FromBase64(string text) => Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='));

    private readonly record struct Cost(int MemoryKiB, int Passes);
}
