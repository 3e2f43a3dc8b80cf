using System.Diagnostics;

namespace SecureMessaging.Tests.Harness;

/// <summary>
/// Waits until a started server process answers. The bound is the same for the tests, the fault harness and the benchmarks: it is for processes that hang. On
/// a machine that runs several suites, a healthy start can take a minute.
/// </summary>
internal static class ServerStart
{
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private static readonly TimeSpan PatienceOfRequest = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    /// <summary>Returns when a GET of the address succeeds, or false when the process has ended.</summary>
    /// <param name="url">Answers when the server is ready.</param>
    /// <param name="hasExited">Whether the process has ended.</param>
    /// <param name="output">What the process has printed, for the error.</param>
    /// <param name="patience">When less than <see cref="Patience"/> is left.</param>
    public static async Task<bool> AnswersAsync(Uri url, Func<bool> hasExited, Func<string> output, TimeSpan? patience = null)
    {
        var bound = patience ?? Patience;
        using var http = new HttpClient { Timeout = PatienceOfRequest };
        var watch = Stopwatch.StartNew();
        var (attempts, last) = (0, "no attempt");
        for (; watch.Elapsed < bound; attempts++)
        {
            if (hasExited())
                return false;
            try
            {
                using var response = await http.GetAsync(url);
                if (response.IsSuccessStatusCode)
                    return true;
                last = $"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync()}";
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
            {
                // Not listening yet, or too busy to answer.
                last = exception.Message;
            }

            await Task.Delay(Pause);
        }

        throw new TimeoutException($"{url} did not answer within {bound.TotalSeconds:0} s. Attempts: {attempts}, the last one: {last}. Printed:\n{output()}");
    }
}
