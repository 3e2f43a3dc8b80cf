using SecureMessaging.Faults.Processes;

namespace SecureMessaging.Faults.Injectors;

/// <summary>Members come and go under load.</summary>
internal static class RosterFaults
{
    public static Task ChurnAsync(Injection on) => on.RepeatAsync(0.3, async () =>
    {
        await on.Load.RemoveWandererAsync();
        await Injection.WaitAsync(0.3);
        if (on.Random.Next(3) == 0)
        {
            var process = on.Victim.Process;
            process.Send(Signal.Stop);
            await Injection.WaitAsync(0.7);
            on.Recovering();
            process.Send(Signal.Continue);
        }

        await on.Load.AddWandererAsync();
    });
}
