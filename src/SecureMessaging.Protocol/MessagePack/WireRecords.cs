using MessagePack;
using MessagePack.Formatters;

namespace SecureMessaging.Protocol;

internal sealed class SendRequestFormatter : IMessagePackFormatter<SendRequest>
{
    private static readonly WireKeys Keys = new("roomId", "clientMessageId", "ciphertext", "timeToLiveSeconds", "epoch");

    public void Serialize(ref MessagePackWriter writer, SendRequest value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(value.TimeToLiveSeconds is null ? 4 : 5);
        Keys.Write(ref writer, 0);
        writer.WriteId(value.RoomId);
        Keys.Write(ref writer, 1);
        writer.WriteId(value.ClientMessageId);
        Keys.Write(ref writer, 2);
        writer.Write(value.Ciphertext);
        if (value.TimeToLiveSeconds is { } seconds)
        {
            Keys.Write(ref writer, 3);
            writer.Write(seconds);
        }
        Keys.Write(ref writer, 4);
        writer.Write(value.Epoch);
    }

    public SendRequest Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        Guid roomId = default, id = default;
        byte[] ciphertext = [];
        int? seconds = null;
        long epoch = 0;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            switch (key)
            {
                case 0: roomId = reader.ReadId(); break;
                case 1: id = reader.ReadId(); break;
                case 2: ciphertext = reader.ReadBin(); break;
                case 3: seconds = reader.TryReadNil() ? null : reader.ReadInt32(); break;
                default: epoch = reader.ReadInt64(); break;
            }
        }
        map.Close(ref reader, required: 3);
        return new(roomId, id, ciphertext, seconds, epoch);
    }
}

internal sealed class SendAckFormatter : IMessagePackFormatter<SendAck>
{
    private static readonly WireKeys Keys = new("roomId", "clientMessageId", "seq", "createdAt", "duplicate");

    public void Serialize(ref MessagePackWriter writer, SendAck value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(5);
        Keys.Write(ref writer, 0);
        writer.WriteId(value.RoomId);
        Keys.Write(ref writer, 1);
        writer.WriteId(value.ClientMessageId);
        Keys.Write(ref writer, 2);
        writer.Write(value.Seq);
        Keys.Write(ref writer, 3);
        writer.Write(value.CreatedAt);
        Keys.Write(ref writer, 4);
        writer.Write(value.Duplicate);
    }

    public SendAck Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        Guid roomId = default, id = default;
        long seq = 0;
        DateTime createdAt = default;
        var duplicate = false;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            switch (key)
            {
                case 0: roomId = reader.ReadId(); break;
                case 1: id = reader.ReadId(); break;
                case 2: seq = reader.ReadInt64(); break;
                case 3: createdAt = reader.ReadTime(); break;
                default: duplicate = reader.ReadBoolean(); break;
            }
        }
        map.Close(ref reader, required: 5);
        return new(roomId, id, seq, createdAt, duplicate);
    }
}

internal sealed class SendResultFormatter : IMessagePackFormatter<SendResult>
{
    private static readonly WireKeys Keys = new("ack", "error");

    public void Serialize(ref MessagePackWriter writer, SendResult value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader((value.Ack is null ? 0 : 1) + (value.Error is null ? 0 : 1));
        if (value.Ack is not null)
        {
            Keys.Write(ref writer, 0);
            writer.Write(value.Ack, options);
        }
        if (value.Error is not null)
        {
            Keys.Write(ref writer, 1);
            writer.Write(value.Error, options);
        }
    }

    public SendResult Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        SendAck? ack = null;
        ErrorBody? error = null;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            if (reader.TryReadNil())
                continue;
            if (key == 0)
                ack = reader.Read<SendAck>(options);
            else
                error = reader.Read<ErrorBody>(options);
        }
        map.Close(ref reader, required: 0);
        return new(ack, error);
    }
}

internal sealed class ErrorBodyFormatter : IMessagePackFormatter<ErrorBody>
{
    private static readonly WireKeys Keys = new("code", "message", "retryable", "retryAfterMs", "currentEpoch", "errors", "currentNumber");

    public void Serialize(ref MessagePackWriter writer, ErrorBody value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(
            3 + (value.RetryAfterMs is null ? 0 : 1) + (value.CurrentEpoch is null ? 0 : 1) + (value.Errors is null ? 0 : 1)
            + (value.CurrentNumber is null ? 0 : 1));
        Keys.Write(ref writer, 0);
        writer.Write(value.Code, options);
        Keys.Write(ref writer, 1);
        writer.Write(value.Message);
        Keys.Write(ref writer, 2);
        writer.Write(value.Retryable);
        if (value.RetryAfterMs is { } delay)
        {
            Keys.Write(ref writer, 3);
            writer.Write(delay);
        }
        if (value.CurrentEpoch is { } epoch)
        {
            Keys.Write(ref writer, 4);
            writer.Write(epoch);
        }
        if (value.Errors is { } errors)
        {
            Keys.Write(ref writer, 5);
            writer.Write(errors, options);
        }
        if (value.CurrentNumber is { } number)
        {
            Keys.Write(ref writer, 6);
            writer.Write(number);
        }
    }

    public ErrorBody Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        ErrorCode code = default;
        var message = "";
        var retryable = false;
        int? delay = null;
        long? epoch = null;
        FieldError[]? errors = null;
        long? number = null;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            switch (key)
            {
                case 0: code = reader.Read<ErrorCode>(options); break;
                case 1: message = reader.ReadText(); break;
                case 2: retryable = reader.ReadBoolean(); break;
                case 3: delay = reader.TryReadNil() ? null : reader.ReadInt32(); break;
                case 4: epoch = reader.TryReadNil() ? null : reader.ReadInt64(); break;
                case 5: errors = reader.TryReadNil() ? null : reader.Read<FieldError[]>(options); break;
                default: number = reader.TryReadNil() ? null : reader.ReadInt64(); break;
            }
        }
        map.Close(ref reader, required: 3);
        return new(code, message, retryable, delay, epoch, errors, number);
    }
}

internal sealed class FieldErrorFormatter : IMessagePackFormatter<FieldError>
{
    private static readonly WireKeys Keys = new("detail", "pointer", "parameter");

    public void Serialize(ref MessagePackWriter writer, FieldError value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(1 + (value.Pointer is null ? 0 : 1) + (value.Parameter is null ? 0 : 1));
        Keys.Write(ref writer, 0);
        writer.Write(value.Detail);
        if (value.Pointer is { } pointer)
        {
            Keys.Write(ref writer, 1);
            writer.Write(pointer);
        }
        if (value.Parameter is { } parameter)
        {
            Keys.Write(ref writer, 2);
            writer.Write(parameter);
        }
    }

    public FieldError Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        var detail = "";
        string? pointer = null, parameter = null;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            switch (key)
            {
                case 0: detail = reader.ReadText(); break;
                case 1: pointer = reader.ReadString(); break;
                default: parameter = reader.ReadString(); break;
            }
        }
        map.Close(ref reader, required: 1);
        return new(detail, pointer, parameter);
    }
}

internal sealed class RoomHeadFormatter : IMessagePackFormatter<RoomHead>
{
    private static readonly WireKeys Keys = new("roomId", "headSeq", "firstSeq", "deliveredSeq", "unread");

    public void Serialize(ref MessagePackWriter writer, RoomHead value, MessagePackSerializerOptions options)
    {
        writer.WriteMapHeader(5);
        Keys.Write(ref writer, 0);
        writer.WriteId(value.RoomId);
        Keys.Write(ref writer, 1);
        writer.Write(value.HeadSeq);
        Keys.Write(ref writer, 2);
        writer.Write(value.FirstSeq);
        Keys.Write(ref writer, 3);
        writer.Write(value.DeliveredSeq);
        Keys.Write(ref writer, 4);
        writer.Write(value.Unread);
    }

    public RoomHead Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        Guid roomId = default;
        long head = 0, first = 0, delivered = 0, unread = 0;
        var map = new WireMap(ref reader, options, Keys);
        while (map.Next(ref reader, out var key))
        {
            switch (key)
            {
                case 0: roomId = reader.ReadId(); break;
                case 1: head = reader.ReadInt64(); break;
                case 2: first = reader.ReadInt64(); break;
                case 3: delivered = reader.ReadInt64(); break;
                default: unread = reader.ReadInt64(); break;
            }
        }
        map.Close(ref reader, required: 5);
        return new(roomId, head, first, delivered, unread);
    }
}
