using System.Diagnostics;
using System.Globalization;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Subjects;

namespace SecureMessaging.Load;

/// <summary>
/// What a message costs on SQLite when the table of entries has rowids, and when it has not: two databases side by side, both with the server's own statement
/// and settings. The rounds alternate, and both tables grow alike.
/// </summary>
internal static class TableForms
{
    private static readonly int[] Payloads = [256, 512, 1024, 2048, 4096];

    public static async Task<int> RunAsync(Options options)
    {
        var messages = options.Quick ? 2_000 : 10_000;
        Console.WriteLine($"{options.Runs} rounds of {messages} messages for each form, batches of {StoreLimit.Batch}, 100 rooms, fsync on");
        Console.WriteLine("| bytes of a message | messages/s: with, without rowids | ratio | bytes on disk: with, without rowids | ratio |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (var payload in Payloads)
        {
            var directory = Scratch.Create("sm-load-");
            await using (var with = await OpenAsync(Path.Combine(directory, "with"), payload))
            await using (var without = await OpenAsync(Path.Combine(directory, "without"), payload))
            {
                await without.RemoveRowidsAsync();
                var (ofWith, ofWithout) = (new Form(with), new Form(without));
                await ofWith.BeginAsync(messages);
                await ofWithout.BeginAsync(messages);
                for (var round = 1; round <= options.Runs; round++)
                {
                    Progress.Show($"{payload} bytes, round {round}");
                    // Who is first changes with each round.
                    foreach (var form in round % 2 == 0 ? new[] { ofWith, ofWithout } : [ofWithout, ofWith])
                        await form.PlayAsync(messages);
                }

                Progress.Clear();
                var sizes = Compared(await ofWith.BytesAsync(), await ofWithout.BytesAsync());
                Console.WriteLine($"| {Number(payload)} | {Compared(ofWith.Rate, ofWithout.Rate)} | {sizes} |");
            }

            Scratch.Delete(directory);
        }

        return 0;
    }

    private static string Number(double number) => number.ToString("N0", CultureInfo.InvariantCulture);

    private static string Compared(double with, double without) =>
        string.Create(CultureInfo.InvariantCulture, $"{Number(with)}, {Number(without)} | {with / without:0.00}");

    private static Task<StoreLimit> OpenAsync(string directory, int payload) =>
        StoreLimit.OpenAsync([$"--Server:DataDirectory={directory}", "--ConnectionStrings:Postgres="], null, payload);

    /// <summary>One of the two tables, with what was measured.</summary>
    private sealed class Form(StoreLimit store)
    {
        private readonly List<double> rates = [];
        private long bytesBefore;
        private long written;

        /// <summary>The median of the rounds.</summary>
        public double Rate => rates.Order().ElementAt(rates.Count / 2);

        /// <summary>The first messages only warm up: a new file grows in another way.</summary>
        public async Task BeginAsync(int messages)
        {
            store.Append(messages);
            bytesBefore = await store.BytesAsync();
        }

        public async Task PlayAsync(int messages)
        {
            var watch = Stopwatch.StartNew();
            written += store.Append(messages);
            // The log is copied into the file within the measured time, because each page that moved costs here too.
            await store.CopyLogAsync();
            rates.Add(messages / watch.Elapsed.TotalSeconds);
        }

        public async Task<double> BytesAsync() => (await store.BytesAsync() - bytesBefore) / (double)written;
    }
}
