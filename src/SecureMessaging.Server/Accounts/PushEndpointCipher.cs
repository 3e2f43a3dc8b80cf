using SecureMessaging.Server.Platform.Keys;

namespace SecureMessaging.Server.Accounts;

/// <summary>Encrypts the push endpoint in a session's row, so that a stolen database does not reveal it.</summary>
internal sealed class PushEndpointCipher(ServerSecret secret)
{
    private readonly RowCipher cipher = new(secret.DeriveKey("push-endpoint"));

    public byte[] Encrypt(string endpoint, Guid sessionId) => cipher.Encrypt(endpoint, sessionId);

    public string Decrypt(byte[] sealedBytes, Guid sessionId) => cipher.Decrypt(sealedBytes, sessionId);
}
