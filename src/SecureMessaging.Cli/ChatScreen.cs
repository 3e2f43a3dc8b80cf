using System.Text;

namespace SecureMessaging.Cli;

/// <summary>
/// The terminal of a chat: messages scroll above the line that is being typed. Without a terminal: plain lines without escape sequences.
/// </summary>
internal sealed class ChatScreen(string room) : IDisposable
{
    private const string Dim = "\e[2m";
    private const string Bold = "\e[1m";
    private const string Plain = "\e[0m";
    private readonly Lock gate = new();
    private readonly bool ansi = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is not { Length: > 0 }
        && Environment.GetEnvironmentVariable("TERM") is not "dumb";

    private readonly bool edits = !Console.IsInputRedirected && !Console.IsOutputRedirected;
    private readonly StringBuilder typed = new();
    private string status = "";
    private int pending;
    private bool typing;

    /// <summary>A message. Own messages have a tick: they are shown when the server has stored them.</summary>
    public void Message(DateTime at, string who, string text, bool own) =>
        Write(ansi ? $"{Dim}{at:HH:mm}{Plain} {Bold}{who}{Plain}{(own ? " ✓" : "")}: {text}" : $"{at:HH:mm} {who}{(own ? " ✓" : "")}: {text}");

    /// <summary>A remark of the program.</summary>
    public void Note(string text) => Write(ansi ? $"{Dim}· {text}{Plain}" : $"· {text}");

    /// <summary>The state of the connection: in the prompt, or on standard error without a prompt.</summary>
    public void Status(string status)
    {
        if (!edits && status.Length > 0)
            Console.Error.WriteLine($"({status})");
        lock (gate)
        {
            this.status = status;
            Redraw();
        }
    }

    /// <summary>The number of own messages that wait for the server.</summary>
    public void Pending(int count)
    {
        lock (gate)
        {
            pending = count;
            Redraw();
        }
    }

    /// <summary>The next line, or null when the input has ended.</summary>
    public async Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        if (!edits)
            return await Task.Run(Console.In.ReadLine, cancellationToken).WaitAsync(cancellationToken);
        lock (gate)
        {
            typing = true;
            Redraw();
        }
        while (true)
        {
            // Waits on its own thread: polling would use some of a core in an idle terminal.
            var key = await Task.Run(() => Console.ReadKey(intercept: true), cancellationToken).WaitAsync(cancellationToken);
            lock (gate)
            {
                switch (key)
                {
                    case { Key: ConsoleKey.Enter }:
                        var line = typed.ToString();
                        typed.Clear();
                        Redraw();
                        return line;
                    case { Key: ConsoleKey.D, Modifiers: ConsoleModifiers.Control } when typed.Length == 0:
                        return null;
                    case { Key: ConsoleKey.U, Modifiers: ConsoleModifiers.Control }:
                        typed.Clear();
                        break;
                    case { Key: ConsoleKey.Backspace } when typed.Length > 0:
                        typed.Length -= typed.Length > 1 && char.IsLowSurrogate(typed[^1]) ? 2 : 1;
                        break;
                    case { KeyChar: var character } when !char.IsControl(character):
                        typed.Append(character);
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
        lock (gate)
        {
            if (typing)
                Console.Write("\r\e[K");
            typing = false;
        }
    }

    private void Write(string line)
    {
        lock (gate)
        {
            if (typing)
                Console.Write("\r\e[K");
            Console.WriteLine(line);
            Redraw();
        }
    }

    /// <summary>Called under the lock. Shows the end of a line that is longer than the terminal is wide.</summary>
    private void Redraw()
    {
        if (!typing)
            return;
        var prompt = (status, pending) switch
        {
            ("", 0) => $"{room}> ",
            ("", var count) => $"{room} ({count} sending)> ",
            (var status, 0) => $"{room} ({status})> ",
            var (status, count) => $"{room} ({status}, {count} waiting)> ",
        };
        var width = Math.Max(10, Console.WindowWidth - prompt.Length - 1);
        var start = Math.Max(0, typed.Length - width);
        if (start > 0 && char.IsLowSurrogate(typed[start]))
            start++;
        Console.Write($"\r\e[K{(ansi ? Dim : "")}{prompt}{(ansi ? Plain : "")}{typed.ToString(start, typed.Length - start)}");
    }
}
