using System.Security.Claims;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Accounts;

/// <summary>Issues access tokens (RFC 9068) and defines their validation.</summary>
internal sealed class AccessTokens(KeyRing ring, TimeProvider time, IOptions<AuthOptions> options)
{
    public const string RoleClaim = "role";
    public const string AdminRole = "admin";
    private const string TokenType = "at+jwt";
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);
    private readonly JsonWebTokenHandler writer = new() { SetDefaultTimesOnTokenCreation = false };

    public (string Token, int ExpiresIn) Issue(Caller caller, bool admin, DateTime sessionExpiresAt)
    {
        var now = time.Now();
        var expires = Expiry(sessionExpiresAt);
        var token = writer.CreateToken(new SecurityTokenDescriptor
        {
            TokenType = TokenType,
            Issuer = options.Value.Issuer,
            Audience = options.Value.Audience,
            IssuedAt = now,
            Expires = expires,
            Subject = Identity(caller, admin, authenticationType: null),
            SigningCredentials = ring.Current.Credentials,
        });
        return (token, (int)(expires - now).TotalSeconds);
    }

    /// <summary>The expiry of credentials granted now. Never later than the session's.</summary>
    public DateTime Expiry(DateTime sessionExpiresAt)
    {
        var expires = time.Now() + options.Value.AccessTokenLifetime;
        return expires < sessionExpiresAt ? expires : sessionExpiresAt;
    }

    public static ClaimsIdentity Identity(Caller caller, bool admin, string? authenticationType)
    {
        var identity = new ClaimsIdentity(authenticationType, Caller.UserIdClaim, RoleClaim);
        identity.AddClaim(new Claim(Caller.UserIdClaim, caller.UserId.ToString()));
        identity.AddClaim(new Claim(Caller.SessionIdClaim, caller.SessionId.ToString()));
        if (admin)
            identity.AddClaim(new Claim(RoleClaim, AdminRole));
        return identity;
    }

    /// <summary>One algorithm, type, issuer and audience, the server's clock, and only keys of the key ring, found by their id.</summary>
    public TokenValidationParameters Validation() => new()
    {
        ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256],
        ValidTypes = [TokenType],
        ValidIssuer = options.Value.Issuer,
        ValidAudience = options.Value.Audience,
        IgnoreTrailingSlashWhenValidatingAudience = false,
        ValidateIssuerSigningKey = true,
        TryAllIssuerSigningKeys = false,
        IssuerSigningKeyResolver = (_, _, kid, _) => ring.Find(kid) is { } known ? [known.Key] : [],
        RequireSignedTokens = true,
        RequireExpirationTime = true,
        LifetimeValidator = (notBefore, expires, _, _) =>
        {
            var now = time.Now();
            return expires is { } end && now < end + ClockSkew && (notBefore is not { } start || start <= now + ClockSkew);
        },
        NameClaimType = Caller.UserIdClaim,
        RoleClaimType = RoleClaim,
    };

    /// <summary>RFC 7515 section 4.1.11: a token with a critical header that is not understood is invalid. The server understands none.</summary>
    public static bool HasCriticalHeader(JsonWebToken token) => token.TryGetHeaderValue<object>("crit", out _);
}
