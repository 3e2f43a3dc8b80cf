using System.Diagnostics;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

/// <summary>Runs one of the project's programs to its end or for a while.</summary>
internal static class Programs
{
    public static Process Start(string assembly, string[] arguments, Dictionary<string, string?> environment)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.ArgumentList.Add(assembly);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start.");
    }

    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(
        string assembly, string[] arguments, Dictionary<string, string?> environment, string input = "")
    {
        using var process = Start(assembly, arguments, environment);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        using var timeout = new CancellationTokenSource(ServerStart.Patience);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(timeout.Token), process.StandardError.ReadToEndAsync(timeout.Token));
        await process.WaitForExitAsync(timeout.Token);
        return (process.ExitCode, await output, await error);
    }
}
