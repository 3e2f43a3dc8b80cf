using System.Buffers.Binary;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>Overwrites deleted content in the unused parts of pages.</summary>
/// <remarks>
/// With <c>secure_delete</c>, SQLite overwrites deleted rows and freed pages. But when it moves rows between neighbouring pages, the old copies stay in
/// the unused part of a page, between the pointers to its cells and the cells (https://sqlite.org/fileformat2.html#b_tree_pages). After the row itself is
/// deleted, such a copy is still there. The search for it reads the whole file, and blocks no one.
/// </remarks>
internal sealed class SqlitePageCleaner(SqliteFile file)
{
    private const int HeaderBytes = 100;
    private const int ChunkBytes = 1024 * 1024;

    // Only pages of trees begin with 2, 5, 10 or 13. All others begin with a page number or are free, and this is where page numbers begin with 2.
    private const long LastPage = 0x0200_0000 - 1;

    /// <summary>The numbers, from 1, of pages with unused bytes that are not zero. Other connections may write meanwhile.</summary>
    public List<long> Find(CancellationToken cancellationToken)
    {
        var found = new List<long>();
        if (ReadLayout() is not { } layout)
            return found;
        var length = file.Length;
        var chunk = new byte[ChunkBytes];
        for (long offset = 0; offset < length; offset += chunk.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            file.Read(chunk, offset);
            for (var start = 0; start < chunk.Length && offset + start < length; start += layout.PageBytes)
            {
                var number = ((offset + start) / layout.PageBytes) + 1;
                if (number <= LastPage && UnusedBytes(chunk.AsSpan(start, layout.PageBytes), number, layout) is { IsZero: false })
                    found.Add(number);
            }
        }

        return found;
    }

    /// <summary>
    /// Overwrites the unused bytes of these pages. Until it returns, no connection may write to the database, and its log must be empty: otherwise a
    /// checkpoint could write the same page.
    /// </summary>
    public void Clean(IEnumerable<long> pages)
    {
        if (ReadLayout() is not { } layout)
            return;
        var page = new byte[layout.PageBytes];
        foreach (var number in pages)
        {
            var offset = (number - 1) * layout.PageBytes;
            file.Read(page, offset);
            if (UnusedBytes(page, number, layout) is not { IsZero: false } unused)
                continue;
            page.AsSpan(unused.Start, unused.Length).Clear();
            file.Write(page.AsSpan(unused.Start, unused.Length), offset + unused.Start);
        }

        file.Flush();
    }

    /// <summary>Null: a database that this class does not understand, such as one with pages of another kind (auto_vacuum).</summary>
    private Layout? ReadLayout()
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        file.Read(header, 0);
        var pageBytes = BinaryPrimitives.ReadUInt16BigEndian(header[16..]);
        var isAutoVacuum = BinaryPrimitives.ReadUInt32BigEndian(header[52..]) != 0;
        return !header.StartsWith("SQLite format 3\0"u8) || isAutoVacuum || pageBytes < 512 ? null : new Layout(pageBytes, pageBytes - header[20]);
    }

    private static Unused? UnusedBytes(ReadOnlySpan<byte> page, long number, Layout layout)
    {
        var header = number == 1 ? HeaderBytes : 0;
        var isLeaf = page[header] is 10 or 13;
        if (!isLeaf && page[header] is not (2 or 5))
            return null;
        var pointers = header + (isLeaf ? 8 : 12);
        var start = pointers + (2 * Number(page, header + 3));
        var end = Number(page, header + 5);
        if (start > end || end > layout.UsableBytes)
            return null;
        // A page that is being written may be inconsistent.
        for (var pointer = pointers; pointer < start; pointer += 2)
        {
            if (Number(page, pointer) < end || Number(page, pointer) > layout.UsableBytes - 4)
                return null;
        }

        return new Unused(start, end - start, !page[start..end].ContainsAnyExcept((byte)0));
    }

    private static int Number(ReadOnlySpan<byte> page, int at) => BinaryPrimitives.ReadUInt16BigEndian(page[at..]);

    private readonly record struct Layout(int PageBytes, int UsableBytes);

    private readonly record struct Unused(int Start, int Length, bool IsZero);
}
