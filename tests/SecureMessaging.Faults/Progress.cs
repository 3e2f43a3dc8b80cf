namespace SecureMessaging.Faults;

/// <summary>One line that is overwritten on a terminal; where there is none, only what ends is printed.</summary>
internal static class Progress
{
    private const string ToLineStart = "\r\u001b[K";

    public static void Show(string text)
    {
        if (!Console.IsOutputRedirected)
            Console.Write(ToLineStart + text);
    }

    public static void End(string line) => Console.WriteLine(Console.IsOutputRedirected ? line : ToLineStart + line);
}
