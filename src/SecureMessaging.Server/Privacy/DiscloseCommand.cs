using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Privacy;

/// <summary><c>disclose USERNAME</c>: prints everything that is held on an account, which is what the account itself gets from <c>GET /v1/me/data</c>.</summary>
internal static class DiscloseCommand
{
    public static async Task<int> RunAsync(string[] args)
    {
        if (args is not [[not '-', ..] username, .. var settings])
            throw new StartException("Usage: disclose USERNAME [--Section:Name=value ...]");
        await using var app = ServerApp.Build(["--Logs:Console=false", "--Management:Url=", .. settings]);
        var name = app.Services.GetRequiredService<AccountRules>().Username(username);
        var user = await app.Services.GetRequiredService<UserStore>().FindByLoginAsync(name, CancellationToken.None) ?? throw new StartException($"There is no user {name}.");
        await using var output = Console.OpenStandardOutput();
        await app.Services.GetRequiredService<PersonalDataStore>().WriteAsync(user.Id, output, indented: true, CancellationToken.None);
        output.WriteByte((byte)'\n');
        return 0;
    }
}
