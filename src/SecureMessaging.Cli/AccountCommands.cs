using System.CommandLine;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using Spectre.Console;

namespace SecureMessaging.Cli;

/// <summary>Sign-up, sign-in, sign-out and sessions.</summary>
internal static class AccountCommands
{
    private const string PasswordVariable = "SECMSG_PASSWORD";

    public static Command SignUp()
    {
        var username = new Argument<string?>("username") { Description = "3 to 32 of a-z 0-9 . _ -", Arity = ArgumentArity.ZeroOrOne };
        var email = new Option<string?>("--email") { Description = "Stored encrypted on the server, and never shown to others." };
        var command = new Command("sign-up", "Create an account and sign in.") { username, email };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            var request = new SignUpRequest(
                parsed.GetValue(username) ?? Ask("Username"), parsed.GetValue(email) ?? Ask("E-mail"), AskPassword(confirm: true));
            await using var client = await SecureMessagingClient.SignUpAsync(profile.Server, request, profile.Options, cancellationToken);
            profile.RememberServer();
            Console.WriteLine($"Welcome, {client.Username}. You are signed in to {client.Server}");
        });
        return command;
    }

    public static Command SignIn()
    {
        var username = new Argument<string?>("username") { Description = "Username or e-mail address.", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("sign-in", "Sign in to an account.") { username };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            var name = parsed.GetValue(username) ?? Ask("Username");
            await using var client = await SecureMessagingClient.SignInAsync(
                profile.Server, name, AskPassword(confirm: false), profile.Options, cancellationToken);
            profile.RememberServer();
            Console.WriteLine($"Signed in to {client.Server} as {client.Username}.");
        });
        return command;
    }

    public static Command SignOut()
    {
        var everywhere = new Option<bool>("--everywhere") { Description = "End all sessions of the account." };
        var command = new Command("sign-out", "End the session and forget the account, its unsent messages and its room keys on this machine.") { everywhere };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            if (parsed.GetValue(everywhere))
                await client.Account.LogOutEverywhereAsync(cancellationToken);
            else
                await client.Account.LogOutAsync(cancellationToken);
            profile.ForgetKeys();
            Console.WriteLine("Signed out. Keep your invites: the room keys are gone from this machine.");
        });
        return command;
    }

    public static Command Sessions()
    {
        var command = new Command("sessions", "List the account's sessions.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            await using var client = await Profile.Of(parsed).OpenAsync(cancellationToken);
            var table = new Table().Border(TableBorder.Rounded).AddColumns("Session", "Started", "Ended", "");
            foreach (var session in await client.Account.SessionsAsync(cancellationToken))
            {
                table.AddRow(
                    new Text(session.Id.ToString()), new Text(Local(session.StartedAt)),
                    new Text(session.EndedAt is { } end ? Local(end) : "-"), new Text(session.Current ? "this one" : ""));
            }
            AnsiConsole.Write(table);
        });
        return command;
    }

    private static string Local(DateTime utc) => DateTime.SpecifyKind(utc, DateTimeKind.Utc).ToLocalTime().ToString("yyyy-MM-dd HH:mm");

    private static string Ask(string what) => Console.IsInputRedirected
        ? throw new CliException($"{what} is missing. Without a terminal, give it on the command line.")
        : AnsiConsole.Ask<string>(what + ":");

    private static string AskPassword(bool confirm)
    {
        if (Environment.GetEnvironmentVariable(PasswordVariable) is { Length: > 0 } given)
            return given;
        if (Console.IsInputRedirected)
            throw new CliException($"There is no terminal to ask for the password. Set {PasswordVariable}.");
        var password = AnsiConsole.Prompt(new TextPrompt<string>("Password:").Secret(null));
        if (confirm && AnsiConsole.Prompt(new TextPrompt<string>("Once more:").Secret(null)) != password)
            throw new CliException("The two passwords differ.");
        return password;
    }
}
