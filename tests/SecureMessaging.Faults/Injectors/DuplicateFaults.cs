using System.Diagnostics;
using SecureMessaging.Faults.Clients;

namespace SecureMessaging.Faults.Injectors;

/// <summary>The network says everything twice: what a client sends arrives a second time on a connection of its own, upgrade included.</summary>
internal static class DuplicateFaults
{
    private const int Unauthorized = 401;
    private const int Switching = 101;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task DuplicateAsync(Injection on)
    {
        var (doubled, refused) = (0, 0);
        await on.RepeatAsync(0.3, async () =>
        {
            // Only of connections that begin now everything is on tape.
            var all = on.Cluster.Nodes.SelectMany(on.Load.On).ToList();
            var cut = Stopwatch.GetTimestamp();
            on.Recovering();
            foreach (var link in on.Cluster.Nodes.SelectMany(node => new[] { node.Clients, node.Victims }))
            {
                link.Recording = true;
                link.CutAll();
            }

            await Load.ResumedAsync(all, cut, Patience);
            await Injection.WaitAsync(0.2);
            var withToken = on.Cluster.Nodes.SelectMany(node => node.Clients.Duplicate()).ToList();
            var withTicket = on.Cluster.Nodes.SelectMany(node => node.Victims.Duplicate()).ToList();
            for (var watch = Stopwatch.StartNew(); watch.Elapsed < Patience && withToken.Concat(withTicket).Any(twin => twin.Status is null);)
                await Injection.WaitAsync(0.05);
            // From here on, original and duplicate race with the same calls.
            await Injection.WaitAsync(0.5);
            doubled += withToken.Count(twin => twin.Status == Switching);
            refused += withTicket.Count(twin => twin.Status == Unauthorized);
            foreach (var twin in withTicket.Where(twin => twin.Status == Switching))
                on.Complaints.Add("a ticket was taken twice");
            foreach (var twin in withToken.Concat(withTicket))
                await twin.DisposeAsync();
        });
        if (doubled == 0 || refused == 0)
            on.Complaints.Add($"{doubled} connections with a token were doubled, {refused} with a ticket refused: the round proves nothing");
        on.Measure("connections doubled", doubled, "with a token");
        on.Measure("replayed tickets refused", refused, "of single use");
    }
}
