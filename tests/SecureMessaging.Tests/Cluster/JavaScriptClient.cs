using System.Diagnostics;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Cluster;

/// <summary>The endpoint of a connection of the JavaScript program. Without a token the URL has a ticket.</summary>
internal sealed record JavaScriptPlace(string Url, string? Token, bool MessagePack)
{
    public static JavaScriptPlace ByToken(TestUser user, TestServer node, bool messagePack) => new(Hub(node), user.Tokens.AccessToken, messagePack);

    /// <summary>As in a browser, which cannot set headers.</summary>
    public static async Task<JavaScriptPlace> ByTicketAsync(TestUser user, TestServer node, bool messagePack)
    {
        using var response = await user.Http.PostAsync("/v1/auth/ticket", null);
        var ticket = await response.ReadAsync<TicketResponse>();
        return new($"{Hub(node)}?{Wire.TicketParameter}={Uri.EscapeDataString(ticket.Ticket)}", null, messagePack);
    }

    private static string Hub(TestServer node) => new Uri(node.Url, Wire.HubPath).ToString();
}

/// <summary>The program's counts. Every count except entries is a fault.</summary>
internal sealed record JavaScriptCounts(int Entries, int Missing, int Gaps, int Repeats, int Disordered, int Altered, int Resyncs, int Closes);

internal sealed record JavaScriptReport(int Acknowledged, JavaScriptCounts[] Readers, string[] Errors);

/// <summary>The program in <c>tests/web/plain-client</c>: the contract and the official SignalR client, without this project's SDK.</summary>
internal sealed class JavaScriptClient : IAsyncDisposable
{
    private const string Folder = "tests/web/plain-client";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);
    private readonly Process process;
    private readonly Task<string> complaints;

    private JavaScriptClient(Process process) => (this.process, complaints) = (process, process.StandardError.ReadToEndAsync());

    /// <summary>Starts the program and returns when its connections are up and its writers send.</summary>
    public static async Task<JavaScriptClient> StartAsync(Guid roomId, JavaScriptPlace[] writers, JavaScriptPlace[] readers)
    {
        if (!Directory.Exists(Repository.PathOf(Folder, "node_modules")))
            throw new InvalidOperationException($"Run npm ci in {Folder} first, as tests/run.sh does.");
        var start = new ProcessStartInfo("node", ["main.js"])
        {
            WorkingDirectory = Repository.PathOf(Folder),
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        var client = new JavaScriptClient(Process.Start(start) ?? throw new InvalidOperationException("node did not start."));
        await client.SayAsync(JsonSerializer.Serialize(new { roomId, writers, readers }, Wire.Json));
        if (await client.ReadAsync() == "ready")
            return client;
        var complaint = await client.complaints;
        await client.DisposeAsync();
        throw new InvalidOperationException($"The JavaScript client did not connect: {complaint}");
    }

    /// <summary>Ends the writers; returns the counts when the readers have all entries, and the exit status.</summary>
    public async Task<(JavaScriptReport Report, int ExitCode)> FinishAsync()
    {
        await SayAsync("stop");
        var line = await ReadAsync() ?? throw new InvalidOperationException($"The JavaScript client counted nothing: {await complaints}");
        await process.WaitForExitAsync().WaitAsync(Patience);
        return (JsonSerializer.Deserialize<JavaScriptReport>(line, Wire.Json)!, process.ExitCode);
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private async Task SayAsync(string line)
    {
        await process.StandardInput.WriteLineAsync(line);
        await process.StandardInput.FlushAsync();
    }

    private async Task<string?> ReadAsync() => await process.StandardOutput.ReadLineAsync().WaitAsync(Patience);
}
