using System.Text;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Data;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Admin;

/// <summary><c>admin create USERNAME EMAIL</c>: creates an administrator. It requires access to the machine.</summary>
internal static partial class AdminCommand
{
    public const string PasswordVariable = "SECUREMESSAGING_ADMIN_PASSWORD";

    /// <param name="args">Command line after the verb.</param>
    /// <param name="build">Puts the server together.</param>
    public static async Task<int> CreateAsync(string[] args, Func<string[], WebApplication> build)
    {
        if (args is not [[not '-', ..] username, [not '-', ..] email, .. var settings])
            throw new StartException("Usage: admin create USERNAME EMAIL [--Section:Name=value ...]");
        await using var app = build(settings);
        var services = app.Services;
        var rules = services.GetRequiredService<AccountRules>();
        (username, email) = (rules.Username(username), rules.Email(email));
        var users = services.GetRequiredService<UserStore>();
        if (await users.FindByLoginAsync(username, CancellationToken.None) is not null)
            throw new StartException($"The user {username} already exists. An administrator needs a new account: choose another name.");
        var hash = await services.GetRequiredService<PasswordHasher>().HashAsync(Requester.Operator, rules.NewPassword(ReadPassword()), CancellationToken.None);
        var id = await services.GetRequiredService<Database>().WriteAsync(
            transaction => users.CreateAsync(transaction, username, email, hash, UserRole.Admin, CancellationToken.None), CancellationToken.None);
        Created(app.Logger, id);
        await Console.Out.WriteLineAsync($"{username} is an administrator and can sign in.");
        return 0;
    }

    /// <summary>From the environment, else from a pipe, else from the terminal without echo. Never from the command line, which other users can list.</summary>
    private static string ReadPassword()
    {
        if (Environment.GetEnvironmentVariable(PasswordVariable) is { Length: > 0 } given)
            return given;
        if (Console.IsInputRedirected)
            return Console.In.ReadLine() ?? throw new StartException($"The password is missing. Pipe it in, or set {PasswordVariable}.");
        var password = Prompt("Password: ");
        return Prompt("Once more: ") == password ? password : throw new StartException("The two passwords differ.");
    }

    private static string Prompt(string text)
    {
        Console.Error.Write(text);
        var typed = new StringBuilder();
        while (Console.ReadKey(intercept: true) is { Key: not ConsoleKey.Enter } key)
        {
            if (key.Key == ConsoleKey.Backspace)
                typed.Length = Math.Max(0, typed.Length - 1);
            else if (key.KeyChar != '\0')
                typed.Append(key.KeyChar);
        }

        Console.Error.WriteLine();
        return typed.ToString();
    }

    [LoggerMessage(6002, LogLevel.Warning, "Administrator account {Account} was created on the command line")]
    private static partial void Created(ILogger logger, Guid account);
}
