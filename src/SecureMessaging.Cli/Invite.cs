using System.Buffers.Text;

namespace SecureMessaging.Cli;

/// <summary>The room's id and its key, which a member gives to another one on another way. A member who has it can read the room.</summary>
internal sealed record Invite(Guid RoomId, string Key)
{
    private const string Prefix = "secmsg-";
    private const int IdBytes = 16;
    private const int KeyBytes = 32;

    public static Invite Parse(string text)
    {
        text = text.Trim();
        if (text.StartsWith(Prefix, StringComparison.Ordinal) && Base64Url.IsValid(text.AsSpan(Prefix.Length)))
        {
            var bytes = Base64Url.DecodeFromChars(text.AsSpan(Prefix.Length));
            if (bytes.Length == IdBytes + KeyBytes)
                return new(new Guid(bytes.AsSpan(0, IdBytes), bigEndian: true), Base64Url.EncodeToString(bytes.AsSpan(IdBytes)));
        }
        throw new CliException("This is not an invite. An invite starts with 'secmsg-' and is 71 characters long.");
    }

    public string ToText() => Prefix + Base64Url.EncodeToString([.. RoomId.ToByteArray(bigEndian: true), .. Base64Url.DecodeFromChars(Key)]);

    public override string ToString() => "Invite [REDACTED]";
}
