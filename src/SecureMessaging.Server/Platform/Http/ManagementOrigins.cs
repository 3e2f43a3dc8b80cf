using System.Collections.Frozen;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>The origins of the pages at the management address, which may call the API. Empty until that address is served.</summary>
internal sealed class ManagementOrigins
{
    private volatile FrozenSet<string> origins = FrozenSet<string>.Empty;

    public bool Contains(string origin) => origins.Contains(origin);

    public void Set(IEnumerable<string> served) => origins = served.ToFrozenSet(StringComparer.Ordinal);
}
