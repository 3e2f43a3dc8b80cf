using SecureMessaging.Server.Limiting;

namespace SecureMessaging.Server.Auth;

/// <summary>Who asks for work with a password, as limits and the queue of hashes count it.</summary>
/// <param name="Address">Where the request comes from, as <see cref="ClientAddress"/> has it.</param>
/// <param name="Caller">Null: not signed in.</param>
internal readonly record struct Requester(Guid Address, Caller? Caller = null)
{
    /// <summary>For verbs of the command line, which cannot be reached over a network.</summary>
    public static Requester Operator => default;

    /// <summary>Signing up and in are anonymous whatever the request carries.</summary>
    public Requester Anonymous => this with { Caller = null };

    /// <summary>Lets minimal API handlers take a <see cref="Requester"/> parameter.</summary>
    public static ValueTask<Requester> BindAsync(HttpContext context) => ValueTask.FromResult(
        new Requester(ClientAddress.Of(context), context.User.Identity is { IsAuthenticated: true } ? Auth.Caller.From(context.User) : null));
}
