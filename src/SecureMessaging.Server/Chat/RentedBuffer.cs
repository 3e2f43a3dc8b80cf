using System.Buffers;

namespace SecureMessaging.Server.Chat;

/// <summary>Bytes that are gathered in an array of the shared pool, which is rented with the first and given back by whoever has used them.</summary>
internal struct RentedBuffer()
{
    private const int MinimumLength = 512;

    public byte[] Array { get; private set; } = [];

    public int Length { get; private set; }

    public readonly Memory<byte> Written => Array.AsMemory(0, Length);

    /// <summary>Room for at least so many bytes, and for one.</summary>
    public Memory<byte> GetMemory(int sizeHint)
    {
        sizeHint = Math.Max(sizeHint, 1);
        if (Array.Length - Length < sizeHint)
            Grow(Length + sizeHint);
        return Array.AsMemory(Length);
    }

    public void Advance(int bytes) => Length += bytes;

    public void Return()
    {
        Return(Array);
        this = new RentedBuffer();
    }

    public static void Return(byte[] array)
    {
        if (array.Length > 0)
            ArrayPool<byte>.Shared.Return(array);
    }

    private void Grow(int length)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(MinimumLength, Math.Max(Array.Length * 2, length)));
        Written.CopyTo(larger);
        Return(Array);
        Array = larger;
    }
}
