namespace SecureMessaging.Load;

/// <summary>Tells on standard error what is being measured, so that standard output holds the report alone.</summary>
internal static class Progress
{
    private static readonly bool Terminal = !Console.IsErrorRedirected;
    private static int shown;

    public static void Show(string what)
    {
        if (!Terminal)
        {
            Console.Error.WriteLine(what);
            return;
        }

        Console.Error.Write($"\r{what.PadRight(shown)}");
        shown = what.Length;
    }

    public static void Clear()
    {
        if (Terminal && shown > 0)
            Console.Error.Write($"\r{new string(' ', shown)}\r");
        shown = 0;
    }
}
