using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>Directories, name and clients of the server. Section <c>Server</c>.</summary>
internal sealed class ServerOptions
{
    public const string Section = "Server";

    public const string DefaultUrl = "http://127.0.0.1:5080";

    /// <summary>The directory of the embedded database and the keys. Created with mode 0700.</summary>
    /// <remarks>The default path is not created until it is used: a service account may have no home directory.</remarks>
    [Required]
    public string DataDirectory { get; set; } =
        Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "secure-messaging");

    /// <summary>The directory of secret and signing keys, shared by all nodes of a database. Default: <c>keys</c> in the data directory.</summary>
    public string? KeyDirectory { get; set; }

    /// <summary>The node's name in logs and metrics. Default: the machine's name and four random characters.</summary>
    [Required, RegularExpression("^[A-Za-z0-9._-]{1,64}$")]
    public string NodeName { get; set; } = DefaultNodeName();

    /// <summary>Origins, compared exactly, whose pages may use the API and open WebSockets. The server's own origin is always allowed.</summary>
    public IList<string> AllowedOrigins { get; } = [];

    /// <summary>
    /// Addresses, or networks such as <c>10.0.0.0/8</c>, of trusted proxies: only their <c>X-Forwarded-For</c> and <c>X-Forwarded-Proto</c> are used.
    /// Clients behind any other proxy share the limits of its address.
    /// </summary>
    public IList<string> KnownProxies { get; } = [];

    /// <summary>The most open connections of the process.</summary>
    [Range(1, 10_000_000)]
    public int MaxConnections { get; set; } = 200_000;

    /// <summary>The most open connections from one address (an IPv6 network of 64 bits). Behind a proxy all come from its address.</summary>
    [Range(1, 10_000_000)]
    public int MaxConnectionsPerAddress { get; set; } = 20_000;

    /// <summary>Whether <c>/playground</c> of the management address serves Scalar, a browser client of the REST API.</summary>
    public bool Playground { get; set; } = true;

    public string EffectiveKeyDirectory => KeyDirectory ?? Path.Combine(DataDirectory, "keys");

    public static string DefaultNodeName()
    {
        var machine = string.Concat(Environment.MachineName.Where(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-'));
        return $"{machine[..Math.Min(machine.Length, 48)]}-{RandomNumberGenerator.GetHexString(4, lowercase: true)}";
    }
}
