using SecureMessaging.Faults;
using SecureMessaging.Faults.Injectors;
using SecureMessaging.Faults.Planted;

if (args is ["planted", var change, .. var settings])
    return await PlantedServer.RunAsync(change, settings);
if (Options.Parse(args) is not { } options)
{
    await Console.Error.WriteLineAsync(Options.Usage);
    return 2;
}

if (options.List)
{
    foreach (var fault in Catalogue.All)
        Console.WriteLine($"{fault.Name,-20} {string.Join('+', fault.Engines),-16} {fault.Nodes} node{(fault.Nodes > 1 ? "s" : " ")}  {fault.What}");
    foreach (var bug in Proof.Bugs)
        Console.WriteLine($"{"prove: " + bug.Name,-37} 1 node   {bug.What}");
    return 0;
}

Console.WriteLine($"seed {options.Seed}, {options.Duration.TotalSeconds:0.#} s of load for each fault");
return options.Verb == "prove" ? await Proof.RunAsync(options) : await Campaign.RunAsync(options);
