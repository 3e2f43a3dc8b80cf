using System.CommandLine;
using System.Text.Json;
using SecureMessaging.Client;

namespace SecureMessaging.Cli;

/// <summary>Something that the user can put right, said in a sentence.</summary>
internal sealed class CliException(string message) : Exception(message);

/// <summary>One person on this machine: a folder with the session, the outbox, the cursors and the room keys.</summary>
internal sealed class Profile
{
    public static readonly Option<string> NameOption = new("--profile", "-p")
    {
        Description = "Whose session and keys to use; two names are two people on one machine.",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("SECMSG_PROFILE") ?? "default",
        Recursive = true,
    };

    public static readonly Option<string?> ServerOption = new("--server", "-s")
    {
        Description = "The server's address. Remembered by sign-up and sign-in. [default: http://127.0.0.1:5080]",
        Recursive = true,
    };

    public static readonly Option<bool> HttpOption = new("--allow-unencrypted-http")
    {
        Description = "Let http:// lead to another machine, in sight of everyone on the way. Remembered with the server.",
        Recursive = true,
    };

    private const string DefaultServer = "http://127.0.0.1:5080";
    private readonly string _folder;
    private readonly string? _server;
    private readonly bool _allowHttp;
    private readonly Dictionary<Guid, string> _keys = [];

    private Profile(string name, string? server, bool allowHttp)
    {
        if (name.Length is 0 or > 64 || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')))
            throw new CliException("A profile's name is made of letters, digits, '-' and '_'.");
        (_server, _allowHttp) = (server, allowHttp);
        Command = name == "default" ? "secmsg" : $"secmsg --profile {name}";
        var data = Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } home
            ? home
            : Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        _folder = Path.Combine(data, "secmsg", name);
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(_folder);
        else
            Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (File.Exists(KeysPath))
        {
            foreach (var (room, key) in JsonSerializer.Deserialize<Dictionary<Guid, string>>(File.ReadAllText(KeysPath)) ?? [])
            {
                _keys[room] = key;
                Cipher.AddRoom(room, key);
            }
        }
    }

    public SharedKeyCipher Cipher { get; } = new();

    public Uri Server
    {
        get
        {
            var address = _server ?? (Remembered is [var known, ..] ? known : DefaultServer);
            return Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && !string.IsNullOrEmpty(uri.Host)
                ? uri
                : throw new CliException("The server's address starts with http:// or https://.");
        }
    }

    public ClientOptions Options => AllowsHttp || Server.Scheme != "http" || Server.IsLoopback
        ? new() { StorePath = Path.Combine(_folder, "client.db"), Cipher = Cipher, AllowUnencryptedHttp = AllowsHttp }
        : throw new CliException($"http:// to another machine shows your password to everyone on the way. Use https://, or add {HttpOption.Name}.");

    private bool AllowsHttp => _allowHttp || (_server is null && Remembered.Contains(HttpOption.Name));

    /// <summary>The address, and whether unencrypted http was allowed for it.</summary>
    private string[] Remembered => File.Exists(ServerPath) ? File.ReadAllText(ServerPath).Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : [];

    private string KeysPath => Path.Combine(_folder, "keys.json");

    private string ServerPath => Path.Combine(_folder, "server");

    public static Profile Of(ParseResult command) => new(command.GetValue(NameOption)!, command.GetValue(ServerOption), command.GetValue(HttpOption));

    public async Task<SecureMessagingClient> OpenAsync(CancellationToken cancellationToken) =>
        await SecureMessagingClient.ResumeAsync(Server, Options, cancellationToken)
        ?? throw new CliException($"This profile is not signed in. Run '{Command} sign-up' or '{Command} sign-in' first.");

    public void RememberServer() => Write(ServerPath, AllowsHttp ? $"{Server}\n{HttpOption.Name}" : Server.ToString());

    /// <summary>How a command for this profile begins.</summary>
    public string Command { get; }

    public string? KeyOf(Guid roomId) => _keys.GetValueOrDefault(roomId);

    public void RememberKey(Guid roomId, string key)
    {
        Cipher.AddRoom(roomId, key);
        _keys[roomId] = key;
        Write(KeysPath, JsonSerializer.Serialize(_keys));
    }

    public void ForgetKeys()
    {
        File.Delete(KeysPath);
        _keys.Clear();
    }

    /// <summary>The whole file or the old one, readable by nobody else.</summary>
    private static void Write(string path, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var temporary = path + ".new";
        using (var file = new FileStream(temporary, options))
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
    }
}
