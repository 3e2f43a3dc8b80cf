using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Privacy;

/// <summary><c>disclose USERNAME</c>: prints all stored data of an account, the same as <c>GET /v1/me/data</c>.</summary>
internal static class DiscloseCommand
{
    /// <param name="args">Command line after the verb.</param>
    /// <param name="build">Puts the server together.</param>
    public static async Task<int> RunAsync(string[] args, Func<string[], WebApplication> build)
    {
        if (args is not [[not '-', ..] username, .. var settings])
            throw new StartException("Usage: disclose USERNAME [--Section:Name=value ...]");
        await using var app = build(settings);
        var name = app.Services.GetRequiredService<AccountRules>().Username(username);
        var user = await app.Services.GetRequiredService<UserStore>().FindByLoginAsync(name, CancellationToken.None)
            ?? throw new StartException($"There is no user {name}.");
        await using var output = Console.OpenStandardOutput();
        await app.Services.GetRequiredService<PersonalDataStore>().WriteAsync(user.Id, output, indented: true, CancellationToken.None);
        output.WriteByte((byte)'\n');
        return 0;
    }
}
