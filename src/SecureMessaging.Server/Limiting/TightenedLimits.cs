using System.Reflection;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Limiting;

/// <summary>
/// The section <c>Limits</c>: an operator may tighten each limit of the contract. None can be loosened, because clients rely on the contract.
/// </summary>
internal sealed class TightenedLimits : IValidateOptions<Limits>
{
    public const string Section = "Limits";

    private static readonly string[] LeastValues = [nameof(Limits.PasswordMinCharacters), nameof(Limits.TimeToLiveMinSeconds)];

    public ValidateOptionsResult Validate(string? name, Limits options)
    {
        var problems = typeof(Limits).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Select(limit => Problem(limit, options)).OfType<string>().ToList();
        Require(options.BatchBytes >= options.CiphertextBytes, "Limits:BatchBytes must not be below Limits:CiphertextBytes.");
        Require(options.CommitBytes >= options.HandshakeBytes, "Limits:CommitBytes must not be below Limits:HandshakeBytes.");
        Require(options.UsernameCharacters >= 3, "Limits:UsernameCharacters must be at least 3.");
        Require(options.PasswordMaxCharacters >= 64, "Limits:PasswordMaxCharacters must be at least 64 (NIST SP 800-63B).");
        Require(options.PasswordMinCharacters <= options.PasswordMaxCharacters, "Limits:PasswordMinCharacters must not be above Limits:PasswordMaxCharacters.");
        Require(options.TimeToLiveMinSeconds <= options.TimeToLiveMaxSeconds, "Limits:TimeToLiveMinSeconds must not be above Limits:TimeToLiveMaxSeconds.");
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);

        void Require(bool holds, string problem)
        {
            if (!holds)
                problems.Add(problem);
        }
    }

    private static string? Problem(PropertyInfo limit, Limits options)
    {
        if (limit.PropertyType != typeof(int))
            return limit.GetValue(options) is null ? null : $"{Section}:{limit.Name} is a quota: set Quotas:{limit.Name}.";
        var (value, contract) = ((int)limit.GetValue(options)!, (int)limit.GetValue(Limits.Default)!);
        var raises = LeastValues.Contains(limit.Name, StringComparer.Ordinal);
        return (raises ? value >= contract : value >= 1 && value <= contract) ? null
            : $"{Section}:{limit.Name} must be {(raises ? $"at least {contract}" : $"1 to {contract}")}: limits can be tightened, not loosened.";
    }
}
