namespace SecureMessaging.Server.Platform;

/// <summary>The server cannot start as it is set up. The message is a sentence that tells the operator what to change.</summary>
internal sealed class StartException(string message, Exception? inner = null) : Exception(message, inner);
