using System.Text.Json;
using SecureMessaging.Tests.Client;

var job = JsonSerializer.Deserialize<Job>(Console.ReadLine() ?? "") ?? throw new InvalidOperationException("The first line of standard input is the job.");
await using var run = await JobRun.StartAsync(job);
Console.WriteLine(Talk.Ready);
if (Console.ReadLine() != Talk.Go)
    return 1;
var sending = run.SendAllAsync();
if (Console.ReadLine() is not { } finish || !finish.StartsWith(Talk.Finish, StringComparison.Ordinal))
    return 1;
await sending;
await run.ReceivedUpToAsync(JsonSerializer.Deserialize<Dictionary<Guid, long>>(finish.AsSpan(Talk.Finish.Length))!);
await run.WriteTranscriptAsync();
return 0;
