using System.Diagnostics;
using SecureMessaging.Load;
using SecureMessaging.Load.Client;
using SecureMessaging.Load.Subjects;

if (args is ["bare-hub", var url])
{
    await BareHub.ServeAsync(url);
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
    Console.CancelKeyPress += (_, e) => e.Cancel = true;
    await child.WaitForExitAsync();
    return child.ExitCode;
}

return MainThread.Run(async () =>
{
    if (options.Verb != "run")
        return await (options.Verb == "soak" ? Soak.RunAsync(options) : Growth.RunAsync(options));
    await using var bench = new Bench(options);
    return await bench.RunAsync();
});
