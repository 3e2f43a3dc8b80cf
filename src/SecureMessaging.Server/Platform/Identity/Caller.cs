using System.Security.Claims;

namespace SecureMessaging.Server.Platform.Identity;

/// <summary>The account and session of the verified token.</summary>
internal readonly record struct Caller(Guid UserId, Guid SessionId)
{
    public const string UserIdClaim = "sub";
    public const string SessionIdClaim = "sid";

    public static Caller From(ClaimsPrincipal? principal) =>
        Guid.TryParse(principal?.FindFirstValue(UserIdClaim), out var user) && Guid.TryParse(principal.FindFirstValue(SessionIdClaim), out var session)
            ? new Caller(user, session)
            : throw ApiException.Unauthenticated();

    /// <summary>Lets minimal API handlers take a <see cref="Caller"/> parameter.</summary>
    public static ValueTask<Caller> BindAsync(HttpContext context) => ValueTask.FromResult(From(context.User));
}
