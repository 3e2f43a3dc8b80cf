using System.CommandLine;
using SecureMessaging.Client;
using SecureMessaging.Protocol;
using Spectre.Console;

namespace SecureMessaging.Cli;

/// <summary>Rooms, their members, and the invites with their keys.</summary>
internal static class RoomCommands
{
    public static Argument<string> RoomArgument() => new("room") { Description = "The room's name, or the beginning of its id." };

    public static Command List()
    {
        var command = new Command("rooms", "List your rooms.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            var rooms = await client.Rooms.ListAsync(cancellationToken);
            if (rooms.Length == 0)
            {
                Console.WriteLine("You are in no room yet. 'secmsg create NAME' makes one.");
                return;
            }
            var table = new Table().Border(TableBorder.Rounded).AddColumns("Name", "Id", "Your role", "Unread");
            foreach (var room in rooms)
            {
                table.AddRow(
                    new Text(NameOf(profile, room)), new Text(room.Id.ToString("D")[..8]), new Text(room.Role.ToString()), new Text(room.Unread.ToString()));
            }
            AnsiConsole.Write(table);
        });
        return command;
    }

    public static Command Create()
    {
        var name = new Argument<string>("name") { Description = "Encrypted with the room's key: the server never sees it." };
        var members = new Argument<string[]>("members") { Description = "Usernames to add at once.", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("create", "Create a room and print its invite.") { name, members };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            var invite = new Invite(Guid.NewGuid(), SharedKeyCipher.GenerateKey());
            // The key is on disk before the room exists, so no room is ever without one.
            profile.RememberKey(invite.RoomId, invite.Key);
            var request = new CreateRoomRequest(
                RoomKind.Group, parsed.GetValue(members) ?? [], profile.Cipher.SealName(invite.RoomId, parsed.GetValue(name)!), Id: invite.RoomId);
            await client.Rooms.CreateAsync(request, cancellationToken);
            Console.Error.WriteLine("The room is there. Members need this invite; pass it on where the server cannot read it:");
            Console.WriteLine(invite.ToText());
        });
        return command;
    }

    public static Command Invite()
    {
        var roomName = RoomArgument();
        var command = new Command("invite", "Print the invite of a room again.") { roomName };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            var room = await FindAsync(profile, client, parsed.GetValue(roomName)!, cancellationToken);
            var key = profile.KeyOf(room.Id) ?? throw new CliException("This machine does not have the room's key. Run 'secmsg join' first.");
            Console.WriteLine(new Invite(room.Id, key).ToText());
        });
        return command;
    }

    public static Command Join()
    {
        var text = new Argument<string[]>("invite") { Arity = ArgumentArity.ZeroOrMore, Hidden = true };
        var command = new Command("join", "Store the key of a room that you are invited to. Asks for the invite, or reads it from standard input.") { text };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(text) is { Length: > 0 })
            {
                throw new CliException(
                    "An invite contains the room's key. Other users of this machine can see a command line, and the shell stores it. "
                    + "Run 'secmsg join' and paste the invite, or pipe it in.");
            }
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            var invite = Cli.Invite.Parse(await AskInviteAsync(cancellationToken));
            profile.RememberKey(invite.RoomId, invite.Key);
            var rooms = await client.Rooms.ListAsync(cancellationToken);
            if (rooms.FirstOrDefault(room => room.Id == invite.RoomId) is { } joined)
                Console.WriteLine($"You are in {NameOf(profile, joined)}. Next: {profile.Command} chat {invite.RoomId.ToString("D")[..8]}");
            else
                Console.WriteLine($"The key is kept. Now ask an owner or admin to run: secmsg add {invite.RoomId.ToString("D")[..8]} {client.Username}");
        });
        return command;
    }

    private static async Task<string> AskInviteAsync(CancellationToken cancellationToken)
    {
        if (!Console.IsInputRedirected)
            return await new TextPrompt<string>("Invite:").Secret(null).ShowAsync(AnsiConsole.Console, cancellationToken);
        while (await Console.In.ReadLineAsync(cancellationToken) is { } line)
        {
            if (!string.IsNullOrWhiteSpace(line))
                return line;
        }
        throw new CliException("There is no invite on standard input.");
    }

    public static Command Add()
    {
        var roomName = RoomArgument();
        var username = new Argument<string>("username") { Description = "The user to add." };
        var command = new Command("add", "Add a user to a room. The user also needs its invite.") { roomName, username };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            var room = await FindAsync(profile, client, parsed.GetValue(roomName)!, cancellationToken);
            try
            {
                await client.Rooms.AddMemberAsync(room.Id, parsed.GetValue(username)!, cancellationToken: cancellationToken);
            }
            catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.NotFound)
            {
                throw new CliException($"There is no user called {parsed.GetValue(username)}.");
            }
            Console.WriteLine($"{parsed.GetValue(username)} is in {NameOf(profile, room)}.");
        });
        return command;
    }

    public static string NameOf(Profile profile, Room room) => SafeText.Neutralise(
        profile.Cipher.OpenName(room.Id, room.Name) ?? (profile.KeyOf(room.Id) is null ? "(no key: run 'secmsg join')" : "(unnamed)"));

    /// <summary>By exact name, otherwise by the beginning of the id.</summary>
    public static async Task<Room> FindAsync(Profile profile, SecureMessagingClient client, string text, CancellationToken cancellationToken)
    {
        var rooms = await client.Rooms.ListAsync(cancellationToken);
        var found = Array.FindAll(rooms, room => string.Equals(profile.Cipher.OpenName(room.Id, room.Name), text, StringComparison.OrdinalIgnoreCase));
        if (found.Length == 0 && text.Length >= 4)
            found = Array.FindAll(rooms, room => room.Id.ToString("D").StartsWith(text, StringComparison.OrdinalIgnoreCase));
        return found.Length switch
        {
            1 => found[0],
            0 => throw new CliException("You are not in such a room. 'secmsg rooms' lists your rooms."),
            _ => throw new CliException("More than one room has this name. Use the id from 'secmsg rooms'."),
        };
    }
}
