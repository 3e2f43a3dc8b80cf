using System.CommandLine;
using System.Security.Cryptography;
using SecureMessaging.Cli;
using SecureMessaging.Client;

var root = new RootCommand("secmsg: end-to-end encrypted rooms in a terminal.")
{
    Profile.NameOption, Profile.ServerOption,
    AccountCommands.SignUp(), AccountCommands.SignIn(), AccountCommands.SignOut(), AccountCommands.Sessions(),
    RoomCommands.List(), RoomCommands.Create(), RoomCommands.Invite(), RoomCommands.Join(), RoomCommands.Add(), ChatCommand.Create(),
    LogsCommand.Create(),
};
try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
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
    return 130;
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
