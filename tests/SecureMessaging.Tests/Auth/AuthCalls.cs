using System.Net.Http.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Auth;

internal static class AuthCalls
{
    public static Task<HttpResponseMessage> SignInAsync(this HttpClient http, string name, string password) =>
        http.PostAsJsonAsync("/v1/auth/token", new TokenRequest(name, password), Wire.Json);

    public static Task<HttpResponseMessage> RefreshAsync(this HttpClient http, string refreshToken) =>
        http.PostAsJsonAsync("/v1/auth/refresh", new RefreshRequest(refreshToken), Wire.Json);

    public static async Task<HttpResponseMessage> SendAsync(this HttpClient http, HttpMethod method, string path, string? accessToken, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (accessToken is not null)
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {accessToken}");
        if (body is not null)
            request.Content = JsonContent.Create(body, body.GetType(), options: Wire.Json);
        return await http.SendAsync(request);
    }

    /// <summary>The status of <c>GET /v1/me</c> with this token: 200 while its session is valid.</summary>
    public static async Task<int> ProbeAsync(this HttpClient http, string? accessToken)
    {
        using var response = await http.SendAsync(HttpMethod.Get, "/v1/me", accessToken);
        return (int)response.StatusCode;
    }
}
