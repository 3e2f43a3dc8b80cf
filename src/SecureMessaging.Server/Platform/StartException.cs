namespace SecureMessaging.Server.Platform;

/// <summary>The server cannot start with its configuration. The message tells the operator what to change.</summary>
internal sealed class StartException(string message, Exception? inner = null) : Exception(message, inner);
