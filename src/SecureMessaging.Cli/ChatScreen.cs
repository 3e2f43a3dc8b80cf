using System.Text;

namespace SecureMessaging.Cli;

/// <summary>
/// The terminal of a chat: what arrives scrolls above the line that is being typed. Without a terminal, plain lines and no escape sequences.
/// </summary>
internal sealed class ChatScreen(string room) : IDisposable
{
    private const string Dim = "\e[2m";
    private const string Bold = "\e[1m";
    private const string Plain = "\e[0m";
    private readonly Lock _gate = new();
    private readonly bool _ansi = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is not { Length: > 0 }
        && Environment.GetEnvironmentVariable("TERM") is not "dumb";

    private readonly bool _edits = !Console.IsInputRedirected && !Console.IsOutputRedirected;
    private readonly StringBuilder _typed = new();
    private string _status = "";
    private int _pending;
    private bool _typing;

    /// <summary>A message; one's own carry a tick, because they only show up once the server has stored them.</summary>
    public void Message(DateTime at, string who, string text, bool own) =>
        Write(_ansi ? $"{Dim}{at:HH:mm}{Plain} {Bold}{who}{Plain}{(own ? " ✓" : "")}: {text}" : $"{at:HH:mm} {who}{(own ? " ✓" : "")}: {text}");

    /// <summary>A remark of the program's own.</summary>
    public void Note(string text) => Write(_ansi ? $"{Dim}· {text}{Plain}" : $"· {text}");

    /// <summary>The state of the connection: in the prompt, or on standard error where there is none.</summary>
    public void Status(string status)
    {
        if (!_edits && status.Length > 0)
            Console.Error.WriteLine($"({status})");
        lock (_gate)
        {
            _status = status;
            Redraw();
        }
    }

    /// <summary>How many of one's own messages wait for the server.</summary>
    public void Pending(int count)
    {
        lock (_gate)
        {
            _pending = count;
            Redraw();
        }
    }

    /// <summary>The next line, or null when the input has ended.</summary>
    public async Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        if (!_edits)
            return await Task.Run(Console.In.ReadLine, cancellationToken).WaitAsync(cancellationToken);
        lock (_gate)
        {
            _typing = true;
            Redraw();
        }
        while (true)
        {
            // Waits on a thread of its own: polling would cost an idle terminal some of a core.
            var key = await Task.Run(() => Console.ReadKey(intercept: true), cancellationToken).WaitAsync(cancellationToken);
            lock (_gate)
            {
                switch (key)
                {
                    case { Key: ConsoleKey.Enter }:
                        var line = _typed.ToString();
                        _typed.Clear();
                        Redraw();
                        return line;
                    case { Key: ConsoleKey.D, Modifiers: ConsoleModifiers.Control } when _typed.Length == 0:
                        return null;
                    case { Key: ConsoleKey.U, Modifiers: ConsoleModifiers.Control }:
                        _typed.Clear();
                        break;
                    case { Key: ConsoleKey.Backspace } when _typed.Length > 0:
                        _typed.Length -= _typed.Length > 1 && char.IsLowSurrogate(_typed[^1]) ? 2 : 1;
                        break;
                    case { KeyChar: var character } when !char.IsControl(character):
                        _typed.Append(character);
                        break;
                }
                // Pasted text is drawn once.
                if (!Console.KeyAvailable)
                    Redraw();
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_typing)
                Console.Write("\r\e[K");
            _typing = false;
        }
    }

    private void Write(string line)
    {
        lock (_gate)
        {
            if (_typing)
                Console.Write("\r\e[K");
            Console.WriteLine(line);
            Redraw();
        }
    }

    /// <summary>Called under the lock. Shows the end of a line that is longer than the terminal is wide.</summary>
    private void Redraw()
    {
        if (!_typing)
            return;
        var prompt = (_status, _pending) switch
        {
            ("", 0) => $"{room}> ",
            ("", var count) => $"{room} ({count} sending)> ",
            (var status, 0) => $"{room} ({status})> ",
            var (status, count) => $"{room} ({status}, {count} waiting)> ",
        };
        var width = Math.Max(10, Console.WindowWidth - prompt.Length - 1);
        var start = Math.Max(0, _typed.Length - width);
        if (start > 0 && char.IsLowSurrogate(_typed[start]))
            start++;
        Console.Write($"\r\e[K{(_ansi ? Dim : "")}{prompt}{(_ansi ? Plain : "")}{_typed.ToString(start, _typed.Length - start)}");
    }
}
