using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using NSec.Cryptography;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

internal enum PasswordFit
{
    No,

    Yes,

    /// <summary>Only without normalisation: the hash is from an earlier version.</summary>
    AsTyped,
}

/// <summary>Argon2id (RFC 9106) in PHC string format. Every hash counts for its requester's rate limits and waits in the <see cref="HashQueue"/>.</summary>
internal sealed class PasswordHasher
{
    private const int SaltBytes = 16;
    private const int HashBytes = 32;
    private readonly HashQueue queue;
    private readonly RateLimits rates;
    private readonly SecurityEvents events;
    private readonly Cost cost;
    private readonly string dummy;

    public PasswordHasher(IOptions<AuthOptions> options, RateLimits rates, SecurityEvents events)
    {
        (this.rates, this.events) = (rates, events);
        cost = new Cost(options.Value.HashMemoryKiB, options.Value.HashPasses);
        queue = new HashQueue(Environment.ProcessorCount, options.Value.HashQueue);
        dummy = Write(cost, RandomNumberGenerator.GetBytes(SaltBytes), RandomNumberGenerator.GetBytes(HashBytes));
    }

    public Task<string> HashAsync(Requester requester, Password password, CancellationToken cancellationToken) =>
        RunAsync(
            requester,
            () =>
            {
                var salt = RandomNumberGenerator.GetBytes(SaltBytes);
                return Write(cost, salt, Derive(password.Text, cost, salt, HashBytes));
            },
            cancellationToken);

    /// <summary>Whether the password matches. Without a hash (no such account) it does the same work and returns No.</summary>
    public Task<PasswordFit> VerifyAsync(Requester requester, Password password, string? hash, CancellationToken cancellationToken) =>
        RunAsync(
            requester,
            () =>
            {
                var fit = Fits(password.Text, hash) ? PasswordFit.Yes : PasswordFit.No;
                return fit == PasswordFit.No && password.AsTyped != password.Text && Fits(password.AsTyped, hash) ? PasswordFit.AsTyped : fit;
            },
            cancellationToken);

    public bool IsOutdated(string hash)
    {
        var stored = Read(hash).Cost;
        return stored.MemoryKiB < cost.MemoryKiB || stored.Passes < cost.Passes;
    }

    private bool Fits(string password, string? hash)
    {
        var (stored, salt, expected) = Read(hash ?? dummy);
        return CryptographicOperations.FixedTimeEquals(Derive(password, stored, salt, expected.Length), expected) && hash is not null;
    }

    private async Task<T> RunAsync<T>(Requester requester, Func<T> work, CancellationToken cancellationToken)
    {
        try
        {
            if (requester.Caller is { } caller)
                rates.Hashes.Spend(caller.UserId);
            rates.HashesOfAddress.Spend(requester.Address);
            return await queue.RunAsync(requester, work, cancellationToken);
        }
        catch (ApiException exception) when (exception.Code is ErrorCode.RateLimited or ErrorCode.Overloaded)
        {
            events.Count(SecurityCause.PasswordWorkRefused);
            throw;
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
