using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text;
using SecureMessaging.Client;
using SecureMessaging.Protocol;

namespace SecureMessaging.Cli;

/// <summary>Reads lines, sends them, and shows the log of the room.</summary>
internal static class ChatCommand
{
    private const int RecentEntries = 30;
    private static readonly TimeSpan EchoPatience = TimeSpan.FromSeconds(5);

    public static Command Create()
    {
        var roomName = RoomCommands.RoomArgument();
        var exitOnEof = new Option<bool>("--exit-on-eof") { Description = "When the input ends: wait until everything is stored, then exit." };
        var command = new Command("chat", "Talk in a room. A line is a message; Ctrl+D or Ctrl+C leaves.") { roomName, exitOnEof };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var profile = Profile.Of(parsed);
            await using var client = await profile.OpenAsync(cancellationToken);
            var room = await RoomCommands.FindAsync(profile, client, parsed.GetValue(roomName)!, cancellationToken);
            if (!profile.Cipher.Knows(room.Id))
                throw new CliException("This machine does not have the room's key. Run 'secmsg join' first.");
            var members = await client.Rooms.MembersAsync(room.Id, cancellationToken);
            using var screen = new ChatScreen(RoomCommands.NameOf(profile, room));
            var chat = new Chat(client, room, screen, members.ToDictionary(member => member.UserId, member => member.Username));
            await chat.RunAsync(parsed.GetValue(exitOnEof) || !Console.IsInputRedirected, cancellationToken);
        });
        return command;
    }

    private sealed class Chat(SecureMessagingClient client, Room room, ChatScreen screen, Dictionary<Guid, string> names)
    {
        private Dictionary<Guid, string> names = names;
        private readonly TaskCompletionSource over = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly List<int> refused = [];
        private long lastShown;
        private int pending;

        public async Task RunAsync(bool endWithInput, CancellationToken cancellationToken)
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
            {
                signal.Cancel = true;
                stop.Cancel();
            });
            client.StateChanged += state => screen.Status(state switch
            {
                ConnectionState.Connecting => "connecting",
                ConnectionState.SignedOut => "signed out",
                _ => "",
            });
            client.Warning += warning =>
            {
                if (warning.Kind is ClientWarningKind.Store or ClientWarningKind.Stopped)
                    Console.Error.WriteLine($"({SafeText.Neutralise(warning.Message)})");
            };
            client.Connect();
            var sends = new List<Task<long>>();
            var show = ShowAsync(stop.Token);
            var read = ReadAsync(sends, stop.Token);
            try
            {
                if (await Task.WhenAny(show, read, over.Task) == read)
                {
                    await read;
                    await FinishAsync(sends, show, stop.Token);
                    if (refused.Count > 0 && endWithInput)
                        throw new CliException($"Not sent: line {string.Join(", ", refused.Order())} of the input.");
                    if (!endWithInput)
                        await Task.WhenAny(show, over.Task);
                }
                if (show.IsCompleted)
                    await show;
            }
            finally
            {
                await stop.CancelAsync();
            }
        }

        /// <summary>Sends every line at once; the order of the lines is the order in the room.</summary>
        private async Task ReadAsync(List<Task<long>> sends, CancellationToken cancellationToken)
        {
            for (var number = 1; await screen.ReadLineAsync(cancellationToken) is { } line; number++)
            {
                if (line.Length == 0)
                    continue;
                var bytes = Encoding.UTF8.GetBytes(line);
                if (bytes.Length > SharedKeyCipher.MaxContentBytes)
                    Refuse(number, line, $"a message has {SharedKeyCipher.MaxContentBytes} bytes at most.");
                else
                    sends.Add(await SendAsync(number, line, bytes, cancellationToken));
            }
        }

        /// <summary>Names the line that was not sent.</summary>
        private void Refuse(int number, string line, string why)
        {
            lock (refused)
                refused.Add(number);
            screen.Note($"Line {number} was not sent (\"{SafeText.Neutralise(line.Length > 40 ? line[..40] + "…" : line)}\"): {SafeText.Neutralise(why)}");
        }

        /// <summary>Queues a message, waiting while the outbox is full.</summary>
        private async Task<Task<long>> SendAsync(int number, string line, byte[] content, CancellationToken cancellationToken)
        {
            while (true)
            {
                try
                {
                    var sent = client.SendAsync(room.Id, content, cancellationToken: cancellationToken);
                    screen.Pending(Interlocked.Increment(ref pending));
                    return AckAsync(number, line, sent);
                }
                catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.Overloaded)
                {
                    await Task.Delay(100, cancellationToken);
                }
            }
        }

        private async Task<long> AckAsync(int number, string line, Task<SendReceipt> sent)
        {
            try
            {
                return (await sent).Seq;
            }
            catch (SecureMessagingException e)
            {
                Refuse(number, line, e.Message);
                return 0;
            }
            finally
            {
                screen.Pending(Interlocked.Decrement(ref pending));
            }
        }

        /// <summary>Waits for every ack, then a moment for the own last line to return.</summary>
        private async Task FinishAsync(List<Task<long>> sends, Task show, CancellationToken cancellationToken)
        {
            var stored = Task.WhenAll(sends);
            if (await Task.WhenAny(stored, show) == show)
                await show;
            var last = (await stored).DefaultIfEmpty().Max();
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            patience.CancelAfter(EchoPatience);
            while (Volatile.Read(ref lastShown) < last && !show.IsCompleted && !patience.IsCancellationRequested)
                await Task.Delay(20, CancellationToken.None);
            cancellationToken.ThrowIfCancellationRequested();
        }

        private async Task ShowAsync(CancellationToken cancellationToken)
        {
            // Unread entries, and at least the last few. Entries that the live stream repeats are skipped.
            var after = Math.Max(room.FirstSeq - 1, Math.Min(room.DeliveredSeq, room.HeadSeq - RecentEntries));
            HistoryPage page;
            do
            {
                page = await client.ReadHistoryAsync(room.Id, after, Limits.Default.PageEntries, cancellationToken);
                foreach (var entry in page.Events)
                    Show(entry);
                after = page.Events.Count > 0 ? page.Events[^1].Seq : page.HeadSeq;
            }
            while (after < page.HeadSeq);
            await MarkAsync(cancellationToken);

            await foreach (var happened in client.ReadAllAsync(cancellationToken))
            {
                if (happened.RoomId != room.Id)
                    continue;
                switch (happened)
                {
                    case EntryEvent entry when entry.Seq > lastShown:
                        if (entry.Entry is { Kind: EntryKind.MemberJoined, UserId: { } joined } && !names.ContainsKey(joined))
                            await ReadNamesAsync(cancellationToken);
                        Show(entry);
                        await MarkAsync(cancellationToken);
                        break;
                    case HistoryGap gap when gap.ToSeq > lastShown:
                        screen.Note("Some older messages have expired.");
                        break;
                    case RoomEnded ended:
                        screen.Note(ended.Change == RoomChange.Deleted ? "The room was deleted." : "You are no longer in this room.");
                        over.TrySetResult();
                        return;
                }
            }
        }

        private async Task ReadNamesAsync(CancellationToken cancellationToken)
        {
            try
            {
                names = (await client.Rooms.MembersAsync(room.Id, cancellationToken)).ToDictionary(member => member.UserId, member => member.Username);
            }
            catch (SecureMessagingException e)
            {
                // A new member is shown as "someone" until the next time.
                Console.Error.WriteLine($"(the members cannot be read: {SafeText.Neutralise(e.Message)})");
            }
        }

        private async Task MarkAsync(CancellationToken cancellationToken)
        {
            try
            {
                await client.MarkDeliveredAsync(room.Id, lastShown, cancellationToken);
            }
            catch (SecureMessagingException e) when (e.ErrorCode == ErrorCode.NotFound)
            {
                // Just removed: the log reports it next.
            }
        }

        private void Show(EntryEvent happened)
        {
            var at = DateTime.SpecifyKind(happened.Entry.CreatedAt, DateTimeKind.Utc).ToLocalTime();
            switch (happened)
            {
                case MessageReceived message:
                    var own = message.Envelope.SenderId == client.UserId;
                    var text = SafeText.Neutralise(Encoding.UTF8.GetString(message.Envelope.Content));
                    // The server's name for the id, not the name that the sender claims.
                    var who = names.GetValueOrDefault(message.Envelope.SenderId) ?? message.Envelope.SenderName + "?";
                    screen.Message(message.Envelope.SentAt.ToLocalTime().DateTime, SafeText.Neutralise(who), text, own);
                    break;
                case Undecryptable:
                    screen.Note($"{at:HH:mm} A message that cannot be opened with this room's key.");
                    break;
                case UnsupportedEntry:
                    screen.Note($"{at:HH:mm} Something that this version does not support. Update secmsg to see it.");
                    break;
                case RoomEntry { Entry: { Kind: EntryKind.MemberJoined or EntryKind.MemberLeft, UserId: { } user } entry }:
                    var name = SafeText.Neutralise(names.GetValueOrDefault(user) ?? "someone");
                    screen.Note($"{at:HH:mm} {name} {(entry.Kind == EntryKind.MemberJoined ? "joined" : "left")}.");
                    break;
                case RoomEntry { Entry.Kind: EntryKind.Retraction }:
                    screen.Note($"{at:HH:mm} A message was taken back.");
                    break;
            }
            Volatile.Write(ref lastShown, happened.Seq);
        }
    }
}
