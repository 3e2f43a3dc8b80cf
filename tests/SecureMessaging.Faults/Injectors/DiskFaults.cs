using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>What happens to the disk under Postgres.</summary>
internal static class DiskFaults
{
    public static Task FillAsync(Injection on) => on.RepeatAsync(1.5, async () =>
    {
        await on.Disk.FillAsync();
        await Injection.WaitAsync(4);
        on.Disk.Empty();
        if (on.Cluster.Postgres!.HasExited)
            await on.Cluster.Postgres.StartAsync();
        on.Recovering();
    });

    public static Task CutPowerAsync(Injection on) => on.RepeatAsync(2.5, async () =>
    {
        var postgres = on.Cluster.Postgres!;
        postgres.Send(Signal.Stop);
        await on.Disk.CutPowerAsync(() =>
        {
            postgres.Send(Signal.Kill);
            return postgres.ExitedAsync();
        });
        await postgres.StartAsync();
        on.Recovering();
    });
}
