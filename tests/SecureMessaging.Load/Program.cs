using System.Diagnostics;
using System.Runtime.InteropServices;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Load;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

if (args is ["bare-hub", var url, var secureUrl, var certificate])
{
    await BareHub.ServeAsync(url, secureUrl, certificate);
    return 0;
}

if (Options.Parse(args) is not { } options)
{
    await Console.Error.WriteLineAsync(Options.Usage);
    return 2;
}

// The runtime reads these when its first socket is made, and only from the environment: run again with them.
if (Environment.GetEnvironmentVariable(GeneratorSockets.InlineCompletions) != "1")
{
    var again = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false };
    if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        again.ArgumentList.Add(typeof(GeneratorSockets).Assembly.Location);
    foreach (var argument in args)
        again.ArgumentList.Add(argument);
    again.Environment[GeneratorSockets.InlineCompletions] = "1";
    again.Environment[GeneratorSockets.Threads] = "1";
    using var child = Process.Start(again)!;
    // A terminal asks both to stop, a kill only this one; what was started is the child's to stop.
    using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Forward);
    using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Forward);
    await child.WaitForExitAsync();
    return child.ExitCode;

    void Forward(PosixSignalContext context)
    {
        context.Cancel = true;
        Child.Send(child.Id, Signal.Terminate);
    }
}

return MainThread.Run(async () =>
{
    if (options.Verb != "run")
    {
        return await (options.Verb switch
        {
            "soak" => Soak.RunAsync(options),
            "tables" => TableForms.RunAsync(options),
            _ => Growth.RunAsync(options),
        });
    }

    await using var bench = new Bench(options);
    return await bench.RunAsync();
});
