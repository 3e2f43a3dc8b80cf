using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace SecureMessaging.Server.Platform.Data;

/// <summary>The database's file, read and written past SQLite but through the handle that SQLite has open.</summary>
/// <remarks>A second handle would release all of SQLite's POSIX locks on the file when it is closed.</remarks>
internal sealed class SqliteFile
{
    /// <summary>SQLITE_FCNTL_FILE_POINTER: the <c>sqlite3_file</c> of the connection.</summary>
    private const int FilePointerOperation = 7;

    /// <summary>SQLITE_IOERR_SHORT_READ: the file ends before the buffer, whose rest SQLite has filled with zeros.</summary>
    private const int ShortRead = 522;

    /// <summary>SQLITE_SYNC_FULL.</summary>
    private const int SyncFull = 3;

    // The order of sqlite3_io_methods: version, close, read, write, truncate, sync, file size.
    private readonly nint file;
    private readonly Transfer read;
    private readonly Transfer write;
    private readonly Synchronize sync;
    private readonly Measure size;

    /// <param name="connection">Open, and not used by another thread during a call of this object.</param>
    public SqliteFile(SqliteConnection connection)
    {
        if (FileControl(connection.Handle!, null, FilePointerOperation, out file) != 0 || file == 0)
            throw new InvalidOperationException("SQLite gives no access to the file of the database.");
        var methods = Marshal.ReadIntPtr(file);
        read = Method<Transfer>(methods, 2);
        write = Method<Transfer>(methods, 3);
        sync = Method<Synchronize>(methods, 5);
        size = Method<Measure>(methods, 6);
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Transfer(nint file, ref byte buffer, int count, long offset);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Synchronize(nint file, int flags);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int Measure(nint file, out long bytes);

    public long Length
    {
        get
        {
            Check(size(file, out var bytes));
            return bytes;
        }
    }

    /// <summary>Fills the buffer, with zeros behind the end of the file.</summary>
    public void Read(Span<byte> buffer, long offset)
    {
        var result = read(file, ref MemoryMarshal.GetReference(buffer), buffer.Length, offset);
        if (result != ShortRead)
            Check(result);
    }

    public void Write(ReadOnlySpan<byte> bytes, long offset) => Check(write(file, ref MemoryMarshal.GetReference(bytes), bytes.Length, offset));

    public void Flush() => Check(sync(file, SyncFull));

    private static void Check(int result)
    {
        if (result != 0)
            throw new SqliteException($"The file of the database cannot be read or written: SQLite {result}", result & 0xFF, result);
    }

    private static T Method<T>(nint methods, int index)
        where T : Delegate => Marshal.GetDelegateForFunctionPointer<T>(Marshal.ReadIntPtr(methods, index * nint.Size));

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control", BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern int FileControl(SQLitePCL.sqlite3 database, [MarshalAs(UnmanagedType.LPUTF8Str)] string? name, int operation, out nint result);
}
