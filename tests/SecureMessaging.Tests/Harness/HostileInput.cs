using System.Text;

namespace SecureMessaging.Tests.Harness;

/// <summary>Shared by the tests that send invalid and random input.</summary>
internal static class HostileInput
{
    /// <summary>The number of inputs: of an environment variable in a long run, otherwise the usual one.</summary>
    public static int Count(string variable, int usual) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var given) ? given : usual;

    public static byte[] Bytes(this Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Posts this text unchanged as JSON.</summary>
    public static async Task<HttpResponseMessage> PostTextAsync(this HttpClient http, string path, string json)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        return await http.PostAsync(path, content);
    }

    /// <summary>Checks that the server still works for others: a new user signs up, connects and sends.</summary>
    public static async Task AssertAliveAsync(this TestServer server)
    {
        await using var other = await server.SignUpAsync();
        var room = await other.CreateRoomAsync([]);
        var connection = await other.ConnectAsync();
        Assert.Equal(2, (await connection.SendAsync(room.Id, [1])).Seq);
    }
}
