using System.ComponentModel.DataAnnotations;

namespace SecureMessaging.Server.Platform;

/// <summary>Where the server keeps what it must keep, and whom it serves. Section <c>Server</c>.</summary>
internal sealed class ServerOptions
{
    public const string Section = "Server";

    /// <summary>Holds the embedded database and the keys. Created with mode 0700.</summary>
    [Required]
    public string DataDirectory { get; set; } =
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "secure-messaging");

    /// <summary>Holds the secret and the signing keys. Nodes that share a database must share this directory. Default: <c>keys</c> in the data directory.</summary>
    public string? KeyDirectory { get; set; }

    /// <summary>Origins, compared exactly, whose pages may use the API and open WebSockets. The server's own is always allowed.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>Connections that the process holds at most.</summary>
    [Range(1, 10_000_000)]
    public int MaxConnections { get; set; } = 200_000;

    /// <summary>Connections from one address at most. Behind a proxy all come from its address.</summary>
    [Range(1, 10_000_000)]
    public int MaxConnectionsPerAddress { get; set; } = 20_000;

    public string EffectiveKeyDirectory => KeyDirectory ?? Path.Combine(DataDirectory, "keys");
}
