using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Platform.Identity;

/// <summary>The origin of a request that needs a password hash, as limits and the hash queue count it.</summary>
/// <param name="Address">The address, see <see cref="ClientAddress"/>.</param>
/// <param name="Caller">Null: not signed in.</param>
internal readonly record struct Requester(Guid Address, Caller? Caller = null)
{
    /// <summary>For command line verbs, which no network reaches.</summary>
    public static Requester Operator => default;

    /// <summary>Sign-up and sign-in count as anonymous, whatever token the request carries.</summary>
    public Requester Anonymous => this with { Caller = null };

    /// <summary>The caller, or a refusal as <see cref="Protocol.ErrorCode.Unauthenticated"/>.</summary>
    public Caller RequireCaller() => Caller ?? throw ApiException.Unauthenticated();

    /// <summary>Lets minimal API handlers take a <see cref="Requester"/> parameter.</summary>
    public static ValueTask<Requester> BindAsync(HttpContext context) => ValueTask.FromResult(
        new Requester(ClientAddress.Of(context), context.User.Identity is { IsAuthenticated: true } ? Identity.Caller.From(context.User) : null));
}
