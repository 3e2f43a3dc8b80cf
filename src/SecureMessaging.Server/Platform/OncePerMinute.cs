using System.Collections.Concurrent;

namespace SecureMessaging.Server.Platform;

/// <summary>Bounds log lines that requests cause: one line per cause and minute, with the number of suppressed lines.</summary>
/// <remarks>Causes are a few constants of the code, never values of a request.</remarks>
internal sealed class OncePerMinute(TimeProvider time)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<string, Cause> causes = new(StringComparer.Ordinal);

    /// <summary>Whether to write a line of this cause now; <paramref name="others"/> is then the number of suppressed lines.</summary>
    public bool Allows(string cause, out int others)
    {
        var known = causes.GetOrAdd(cause, _ => new Cause());
        lock (known)
        {
            if (known.LoggedAt is { } at && time.GetElapsedTime(at) < Minute)
            {
                others = 0;
                known.Others++;
                return false;
            }

            (others, known.Others, known.LoggedAt) = (known.Others, 0, time.GetTimestamp());
            return true;
        }
    }

    private sealed class Cause
    {
        public long? LoggedAt { get; set; }

        public int Others { get; set; }
    }
}
