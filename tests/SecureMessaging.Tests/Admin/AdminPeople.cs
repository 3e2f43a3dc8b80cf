using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

internal static class AdminPeople
{
    /// <summary>An administrator; where no command can be run beside the server, the database is told.</summary>
    public static async Task<TestUser> SignUpAdminAsync(this TestServer server)
    {
        var user = await server.SignUpAsync();
        await server.Database.ExecuteAsync("update users set role = 1 where id = @Id", new { user.Id }, CancellationToken.None);
        user.Use(await user.SignInAsync());
        return user;
    }
}
