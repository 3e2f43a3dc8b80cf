using System.CommandLine;
using System.Text.Json;
using SecureMessaging.Client;

namespace SecureMessaging.Cli;

/// <summary>An error that the user can correct, as one sentence.</summary>
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
        Description = "Allow http:// to another machine, readable by the network. Remembered with the server.",
        Recursive = true,
    };

    private const string DefaultServer = "http://127.0.0.1:5080";
    private readonly string folder;
    private readonly string? server;
    private readonly bool allowHttp;
    private readonly Dictionary<Guid, string> keys = [];

    private Profile(string name, string? server, bool allowHttp)
    {
        if (name.Length is 0 or > 64 || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')))
            throw new CliException("The name of a profile consists of letters, digits, '-' and '_'.");
        (this.server, this.allowHttp) = (server, allowHttp);
        Command = name == "default" ? "secmsg" : $"secmsg --profile {name}";
        var data = Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } home
            ? home
            : Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        folder = Path.Combine(data, "secmsg", name);
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (File.Exists(KeysPath))
        {
            foreach (var (room, key) in JsonSerializer.Deserialize<Dictionary<Guid, string>>(File.ReadAllText(KeysPath)) ?? [])
            {
                keys[room] = key;
                Cipher.AddRoom(room, key);
            }
        }
    }

    public SharedKeyCipher Cipher { get; } = new();

    public Uri Server
    {
        get
        {
            var address = server ?? (Remembered is [var known, ..] ? known : DefaultServer);
            return Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && !string.IsNullOrEmpty(uri.Host)
                ? uri
                : throw new CliException("The server's address starts with http:// or https://.");
        }
    }

    public ClientOptions Options => AllowsHttp || Server.Scheme != "http" || Server.IsLoopback
        ? new() { StorePath = Path.Combine(folder, "client.db"), Cipher = Cipher, AllowUnencryptedHttp = AllowsHttp }
        : throw new CliException($"http:// to another machine shows your password to the network. Use https://, or add {HttpOption.Name}.");

    private bool AllowsHttp => allowHttp || (server is null && Remembered.Contains(HttpOption.Name));

    /// <summary>The address, and whether unencrypted http was allowed for it.</summary>
    private string[] Remembered => File.Exists(ServerPath) ? File.ReadAllText(ServerPath)
        .Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : [];

    private string KeysPath => Path.Combine(folder, "keys.json");

    private string ServerPath => Path.Combine(folder, "server");

    public static Profile Of(ParseResult command) => new(command.GetValue(NameOption)!, command.GetValue(ServerOption), command.GetValue(HttpOption));

    public async Task<SecureMessagingClient> OpenAsync(CancellationToken cancellationToken) =>
        await SecureMessagingClient.ResumeAsync(Server, Options, cancellationToken)
        ?? throw new CliException($"This profile is not signed in. Run '{Command} sign-up' or '{Command} sign-in' first.");

    public void RememberServer() => Write(ServerPath, AllowsHttp ? $"{Server}\n{HttpOption.Name}" : Server.ToString());

    /// <summary>The beginning of a command for this profile.</summary>
    public string Command { get; }

    public string? KeyOf(Guid roomId) => keys.GetValueOrDefault(roomId);

    public void RememberKey(Guid roomId, string key)
    {
        Cipher.AddRoom(roomId, key);
        keys[roomId] = key;
        Write(KeysPath, JsonSerializer.Serialize(keys));
    }

    public void ForgetKeys()
    {
        File.Delete(KeysPath);
        keys.Clear();
    }

    /// <summary>Writes the whole file or nothing, readable only by the user.</summary>
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
