namespace SecureMessaging.Load.Client;

/// <summary>How the generator's own sockets are served; environment variables of the runtime.</summary>
internal static class GeneratorSockets
{
    /// <summary>Completions run on the socket thread itself instead of hopping to the pool.</summary>
    public const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>One of them.</summary>
    public const string Threads = "DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT";
}
