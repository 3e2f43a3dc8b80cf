using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;

namespace SecureMessaging.Server.Platform;

/// <summary>Where the server keeps what it must keep, and whom it serves. Section <c>Server</c>.</summary>
internal sealed class ServerOptions
{
    public const string Section = "Server";

    public const string DefaultUrl = "http://127.0.0.1:5080";

    /// <summary>Holds the embedded database and the keys. Created with mode 0700.</summary>
    /// <remarks>The default is only computed here. It is created when the directory is used, because a service account may have no home.</remarks>
    [Required]
    public string DataDirectory { get; set; } =
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "secure-messaging");

    /// <summary>Holds the secret and the signing keys. Nodes that share a database must share this directory. Default: <c>keys</c> in the data directory.</summary>
    public string? KeyDirectory { get; set; }

    /// <summary>What this node is called in logs and metrics. Default: the machine's name and four random characters.</summary>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string NodeName { get; set; } = DefaultNodeName();

    /// <summary>Origins, compared exactly, whose pages may use the API and open WebSockets. The server's own is always allowed.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>
    /// Addresses, or networks such as <c>10.0.0.0/8</c>, of proxies whose <c>X-Forwarded-For</c> and <c>X-Forwarded-Proto</c> are believed; nobody else's are.
    /// Without it all who come through a proxy share the limits of one address.
    /// </summary>
    public IList<string> KnownProxies { get; } = [];

    /// <summary>Connections that the process holds at most.</summary>
    [Range(1, 10_000_000)]
    public int MaxConnections { get; set; } = 200_000;

    /// <summary>Connections from one address (an IPv6 network of 64 bits) at most. Behind a proxy all come from its address.</summary>
    [Range(1, 10_000_000)]
    public int MaxConnectionsPerAddress { get; set; } = 20_000;

    /// <summary>Whether Scalar, which tries the REST API in a browser, is at <c>/playground</c> of the management address.</summary>
    public bool Playground { get; set; } = true;

    public string EffectiveKeyDirectory => KeyDirectory ?? Path.Combine(DataDirectory, "keys");

    public static string DefaultNodeName()
    {
        var machine = string.Concat(Environment.MachineName.Where(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-'));
        return $"{machine[..Math.Min(machine.Length, 48)]}-{RandomNumberGenerator.GetHexString(4, lowercase: true)}";
    }
}
