namespace SecureMessaging.Load.Subjects;

/// <summary>What stands between a client and the server.</summary>
internal enum Front
{
    /// <summary>Nothing: HTTP.</summary>
    None,

    /// <summary>TLS that the server itself ends.</summary>
    Tls,

    /// <summary>nginx, which ends TLS and speaks HTTP to the server.</summary>
    Nginx,
}
