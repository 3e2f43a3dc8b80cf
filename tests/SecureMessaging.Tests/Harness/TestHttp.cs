using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;

namespace SecureMessaging.Tests.Harness;

/// <summary>Reads responses by the contract.</summary>
public static class TestHttp
{
    /// <summary>The body of a successful response. Any other response fails the test with its content.</summary>
    public static async Task<T> ReadAsync<T>(this HttpResponseMessage response)
    {
        if (!response.IsSuccessStatusCode)
        {
            var request = response.RequestMessage;
            Assert.Fail($"{request?.Method} {request?.RequestUri?.AbsolutePath}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        }

        return await response.Content.ReadFromJsonAsync<T>(Wire.Json) ?? throw new InvalidOperationException("The reply is null.");
    }

    /// <summary>The error of a failed response, after checks of its status and of ProblemDetails.</summary>
    public static async Task<ErrorBody> ReadErrorAsync(this HttpResponseMessage response, int status, ErrorCode code)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(status == (int)response.StatusCode, $"Expected {status}, got {(int)response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        using var json = JsonDocument.Parse(text);
        var root = json.RootElement;
        var error = new ErrorBody(
            Enum.Parse<ErrorCode>(root.GetProperty("code").GetString()!),
            root.GetProperty("detail").GetString()!,
            root.GetProperty("retryable").GetBoolean(),
            root.TryGetProperty("retryAfterMs", out var delay) ? delay.GetInt32() : null,
            root.TryGetProperty("currentEpoch", out var epoch) ? epoch.GetInt64() : null,
            root.TryGetProperty("errors", out var errors) ? errors.Deserialize<FieldError[]>(Wire.Json) : null,
            root.TryGetProperty("currentNumber", out var number) ? number.GetInt64() : null);
        Assert.Equal(code, error.Code);
        return error;
    }
}
