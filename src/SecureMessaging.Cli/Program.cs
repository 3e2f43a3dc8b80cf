using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using SecureMessaging.Cli;
using SecureMessaging.Client;

var root = new RootCommand("secmsg: end-to-end encrypted rooms in a terminal.")
{
    Profile.NameOption, Profile.ServerOption, Profile.HttpOption,
    AccountCommands.SignUp(), AccountCommands.SignIn(), AccountCommands.SignOut(), AccountCommands.Sessions(),
    RoomCommands.List(), RoomCommands.Create(), RoomCommands.Invite(), RoomCommands.Join(), RoomCommands.Add(), ChatCommand.Create(),
    LogsCommand.Create(),
};
using var output = new OutputPipe();
try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false }, output.Closed);
}
catch (SecureMessagingException e)
{
    return Fail(e.Message);
}
catch (CliException e)
{
    return Fail(e.Message);
}
catch (OperationCanceledException)
{
    // A reader that ends early, such as head, is no failure.
    return output.Closed.IsCancellationRequested ? 0 : 130;
}
catch (JsonException)
{
    return Fail("A file of this profile is damaged; restore keys.json in its directory, or sign out and begin anew.");
}
catch (ArgumentException e) when (e.ParamName is not null)
{
    return Fail(e.Message.Replace($" (Parameter '{e.ParamName}')", "", StringComparison.Ordinal));
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or InvalidOperationException or ArgumentException)
{
    return Fail(e.Message);
}

static int Fail(string sentence)
{
    Console.Error.WriteLine(SafeText.Neutralise(sentence));
    return 1;
}
