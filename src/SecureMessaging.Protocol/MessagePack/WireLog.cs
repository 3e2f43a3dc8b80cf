using MessagePack;
using MessagePack.Formatters;

namespace SecureMessaging.Protocol;

internal sealed class LogEntryFormatter : IMessagePackFormatter<LogEntry>
{
    private static readonly WireKeys Keys = new(
        "seq", "kind", "createdAt", "id", "ciphertext", "epoch", "senderId", "targetSeq", "userId", "role", "settings", "expiresAt", "generation");

    public void Serialize(ref MessagePackWriter writer, LogEntry value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(4 + (value.Id is null ? 0 : 1) + (value.Ciphertext is null ? 0 : 1) + (value.SenderId is null ? 0 : 1)
            + (value.TargetSeq is null ? 0 : 1) + (value.UserId is null ? 0 : 1) + (value.Role is null ? 0 : 1)
            + (value.Settings is null ? 0 : 1) + (value.ExpiresAt is null ? 0 : 1) + (value.Generation is null ? 0 : 1));
        Keys.Write(ref writer, 0);
        writer.Write(value.Seq);
        Keys.Write(ref writer, 1);
        writer.Write(value.Kind, options);
        Keys.Write(ref writer, 2);
        writer.Write(value.CreatedAt);
        WriteId(ref writer, 3, value.Id);
        if (value.Ciphertext is not null)
        {
            Keys.Write(ref writer, 4);
            writer.Write(value.Ciphertext);
        }
        Keys.Write(ref writer, 5);
        writer.Write(value.Epoch);
        WriteId(ref writer, 6, value.SenderId);
        if (value.TargetSeq is { } target)
        {
            Keys.Write(ref writer, 7);
            writer.Write(target);
        }
        WriteId(ref writer, 8, value.UserId);
        if (value.Role is { } role)
        {
            Keys.Write(ref writer, 9);
            writer.Write(role, options);
        }
        if (value.Settings is not null)
        {
            Keys.Write(ref writer, 10);
            writer.Write(value.Settings, options);
        }
        if (value.ExpiresAt is { } expiresAt)
        {
            Keys.Write(ref writer, 11);
            writer.Write(expiresAt);
        }
        if (value.Generation is { } generation)
        {
            Keys.Write(ref writer, 12);
            writer.Write(generation);
        }
    }

    public LogEntry Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        var entry = new Fields();
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            if (key > 2 && key != 5 && reader.TryReadNil())
                continue;
            switch (key)
            {
                case 0: entry.Seq = reader.ReadInt64(); break;
                case 1: entry.Kind = reader.Read<EntryKind>(options); break;
                case 2: entry.CreatedAt = reader.ReadTime(); break;
                case 3: entry.Id = reader.ReadId(); break;
                case 4: entry.Ciphertext = reader.ReadBin(); break;
                case 5: entry.Epoch = reader.ReadInt64(); break;
                case 6: entry.SenderId = reader.ReadId(); break;
                case 7: entry.TargetSeq = reader.ReadInt64(); break;
                case 8: entry.UserId = reader.ReadId(); break;
                case 9: entry.Role = reader.Read<RoomRole>(options); break;
                case 10: entry.Settings = reader.Read<RoomSettings>(options); break;
                case 11: entry.ExpiresAt = reader.ReadTime(); break;
                default: entry.Generation = reader.ReadInt32(); break;
            }
        }
        map.Close(ref reader, required: 3);
        return new(entry.Seq, entry.Kind, entry.CreatedAt, entry.Id, entry.Ciphertext, entry.Epoch, entry.SenderId,
            entry.TargetSeq, entry.UserId, entry.Role, entry.Settings, entry.ExpiresAt, entry.Generation);
    }

    private static void WriteId(ref MessagePackWriter writer, int key, Guid? id)
    {
        if (id is null)
            return;
        Keys.Write(ref writer, key);
        writer.WriteId(id.Value);
    }

    private struct Fields
    {
        public long Seq, Epoch;
        public EntryKind Kind;
        public DateTime CreatedAt;
        public Guid? Id, SenderId, UserId;
        public byte[]? Ciphertext;
        public long? TargetSeq;
        public RoomRole? Role;
        public RoomSettings? Settings;
        public DateTime? ExpiresAt;
        public int? Generation;
    }
}

internal sealed class LogPageFormatter : IMessagePackFormatter<LogPage>
{
    private static readonly WireKeys Keys = new("roomId", "entries", "headSeq", "firstSeq");

    public void Serialize(ref MessagePackWriter writer, LogPage value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(4);
        Keys.Write(ref writer, 0);
        writer.WriteId(value.RoomId);
        Keys.Write(ref writer, 1);
        writer.Write(value.Entries, options);
        Keys.Write(ref writer, 2);
        writer.Write(value.HeadSeq);
        Keys.Write(ref writer, 3);
        writer.Write(value.FirstSeq);
    }

    public LogPage Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        Guid roomId = default;
        LogEntry[] entries = [];
        long head = 0, first = 0;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            switch (key)
            {
                case 0: roomId = reader.ReadId(); break;
                case 1: entries = reader.Read<LogEntry[]>(options); break;
                case 2: head = reader.ReadInt64(); break;
                default: first = reader.ReadInt64(); break;
            }
        }
        map.Close(ref reader, required: 4);
        return new(roomId, entries, head, first);
    }
}

internal sealed class RoomSettingsFormatter : IMessagePackFormatter<RoomSettings>
{
    private static readonly WireKeys Keys = new("name", "timeToLiveSeconds");

    public void Serialize(ref MessagePackWriter writer, RoomSettings value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader((value.Name is null ? 0 : 1) + (value.TimeToLiveSeconds is null ? 0 : 1));
        if (value.Name is not null)
        {
            Keys.Write(ref writer, 0);
            writer.Write(value.Name);
        }
        if (value.TimeToLiveSeconds is { } seconds)
        {
            Keys.Write(ref writer, 1);
            writer.Write(seconds);
        }
    }

    public RoomSettings Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        byte[]? name = null;
        int? seconds = null;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            if (reader.TryReadNil())
                continue;
            if (key == 0)
                name = reader.ReadBin();
            else
                seconds = reader.ReadInt32();
        }
        map.Close(ref reader, required: 0);
        return new(name, seconds);
    }
}
