using SecureMessaging.Protocol;
using SecureMessaging.Server.Mls;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Encryption;

/// <summary>Checks of a handshake that need no database.</summary>
internal static class HandshakeFraming
{
    /// <summary>The generation in a handshake. Rejects everything but a PrivateMessage of this kind, room and epoch.</summary>
    public static int Require(Guid roomId, Guid id, long epoch, byte[] message, MlsContentType type, Limits limits)
    {
        var field = type.ToString().ToLowerInvariant();
        if (id == Guid.Empty)
            throw ApiException.Invalid("id must be a random UUID.", "id");
        Positions.Require("epoch", epoch);
        if (message.Length > limits.HandshakeBytes)
            throw ApiException.TooLarge(field, limits.HandshakeBytes);
        if (MlsMessage.TryReadPublicHeader(message, out _))
            throw ApiException.Invalid("A handshake must be a PrivateMessage, not a PublicMessage.", field);
        if (!MlsPrivateMessage.TryRead(message, out var framed) || framed.Type != type)
            throw ApiException.Invalid($"{field} must be an MLSMessage with a PrivateMessage of content type {field}.", field);
        if (!framed.TryGetGeneration(roomId, out var generation))
            throw ApiException.Invalid("The group id must be the id of this room's group.", field);
        return framed.Epoch == (ulong)epoch ? generation : throw ApiException.Invalid("epoch must be the epoch of the message.", "epoch");
    }

    /// <summary>The KeyPackage references of each Welcome.</summary>
    public static List<List<byte[]>> RequireWelcomes(CommitRequest request, Limits limits)
    {
        var result = new List<List<byte[]>>();
        var bytes = (long)request.Commit.Length;
        foreach (var welcome in request.Welcomes ?? [])
        {
            var field = $"welcomes/{result.Count}";
            if (welcome is null)
                throw ApiException.Invalid("A Welcome must not be null.", field);
            if (welcome.Length > limits.HandshakeBytes)
                throw ApiException.TooLarge(field, limits.HandshakeBytes);
            bytes += welcome.Length;
            if (!MlsWelcome.TryRead(welcome, limits.RoomMembers * limits.Devices, out var references))
                throw ApiException.Invalid("A Welcome must be an MLSMessage with a Welcome of cipher suite 1.", field);
            result.Add(references);
        }

        return bytes <= limits.CommitBytes
            ? result
            : throw ApiException.TooMany($"The handshakes of a commit may have at most {limits.CommitBytes} bytes.", "welcomes");
    }
}
