using System.Buffers;

namespace SecureMessaging.Server.Doors.Hub.Transport;

/// <summary>Collects bytes in an array of the shared pool, rented at the first byte. The consumer returns it.</summary>
internal struct RentedBuffer()
{
    private const int MinimumLength = 512;

    public byte[] Array { get; private set; } = [];

    public int Length { get; private set; }

    public readonly Memory<byte> Written => Array.AsMemory(0, Length);

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
