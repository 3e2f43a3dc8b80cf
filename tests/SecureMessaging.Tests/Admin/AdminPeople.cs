using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Admin;

internal static class AdminPeople
{
    /// <summary>Signs up an administrator. Where no command can run beside the server, it changes the database.</summary>
    public static async Task<TestUser> SignUpAdminAsync(this TestServer server)
    {
        var user = await server.SignUpAsync();
        await server.Database.ExecuteAsync("update users set role = 1 where id = @Id", new { user.Id }, CancellationToken.None);
        user.Use(await user.SignInAsync());
        return user;
    }
}
