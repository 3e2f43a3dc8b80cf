using System.Globalization;

namespace SecureMessaging.Load;

/// <summary>The command line.</summary>
internal sealed record Options
{
    public const string Usage = """
        SecureMessaging.Load              measures the server beside a bare SignalR hub and the limit of the store
          --quick              shorter runs, fewer connections, a shorter history
          --modes a,b          only these of: idle, throughput, latency, trace, cpu, tls, cold, storm, replay, store, json (default: all, quick: all but json)
          --subjects a,b       only these of: bare, postgres, sqlite, cluster (default: all; the bare hub is what ratios are of)
          --others CORES       a run is thrown away and repeated when other programs keep more of the processors busy (default: 0.1, quick: any)
          --other FILE         also this SecureMessaging.Server.dll, built from another version of the code, on each database that is chosen; may be repeated
          --connections N      clients in all modes but idle (default: 1000)
          --payload BYTES      of an envelope (default: 512)
          --runs N             of each measurement, of which the median counts (default: 5)
          --seconds N          each measurement takes (default: 10, quick: 0.5)
          --seed N             repeats the choices of a run
          --json FILE          the report, one object a row
          --svg FILE           latency over load, as a plot
        SecureMessaging.Load soak         one rate for long, and what becomes of memory and latency
          --minutes N          how long (default: 60)
          --rate N             messages per second (default: 1000)
        SecureMessaging.Load tables       SQLite with and without rowids in the table of entries: rate and bytes of a message, by its size
        SecureMessaging.Load growth       cost of a message as rooms, members, history and connections grow
        Exit code: 0 measured, 1 something was lost or failed, 2 wrong usage.
        """;

    public string Verb { get; init; } = "run";
    public bool Quick { get; init; }
    public string[] Modes { get; init; } = [];
    public string[] Subjects { get; init; } = [];
    public string[] OtherVersions { get; init; } = [];
    public int Connections { get; init; } = 1000;
    public int Payload { get; init; } = 512;
    public int Runs { get; init; } = 5;
    public double? Others { get; init; }
    public double? Seconds { get; init; }
    public double Minutes { get; init; } = 60;
    public int? Rate { get; init; }
    public int Seed { get; init; } = Random.Shared.Next(1, 1_000_000);
    public string? Json { get; init; }
    public string? Svg { get; init; }

    public double MostOtherCores => Others ?? (Quick ? double.PositiveInfinity : 0.1);

    public TimeSpan Duration => TimeSpan.FromSeconds(Seconds ?? (Quick ? 0.5 : 10));

    public bool Wants(string mode) => Modes.Length == 0 ? !Quick || mode != "json" : Modes.Contains(mode);

    public bool WantsSubject(string subject) => Subjects.Length == 0 || Subjects.Contains(subject);

    /// <summary>Null when it makes no sense.</summary>
    public static Options? Parse(string[] arguments)
    {
        var options = new Options();
        for (var i = 0; i < arguments.Length; i++)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            var number = double.TryParse(value, CultureInfo.InvariantCulture, out var parsed) && parsed > 0 ? parsed : -1;
            switch (arguments[i])
            {
                case "run" or "soak" or "growth" or "tables" when i == 0:
                    options = options with { Verb = arguments[0] };
                    continue;
                case "--quick":
                    options = options with { Quick = true };
                    continue;
                case "--modes":
                    options = options with { Modes = value.Split(',', StringSplitOptions.RemoveEmptyEntries) };
                    break;
                case "--subjects":
                    options = options with { Subjects = value.Split(',', StringSplitOptions.RemoveEmptyEntries) };
                    break;
                case "--other" when File.Exists(value):
                    options = options with { OtherVersions = [.. options.OtherVersions, Path.GetFullPath(value)] };
                    break;
                case "--connections" when number is >= 1 and <= 20_000:
                    options = options with { Connections = (int)number };
                    break;
                case "--payload" when number is >= 24 and <= 32_768:
                    options = options with { Payload = (int)number };
                    break;
                case "--runs" when number is >= 1 and <= 99:
                    options = options with { Runs = (int)number };
                    break;
                case "--others" when number > 0:
                    options = options with { Others = number };
                    break;
                case "--seconds" when number is > 0 and <= 3600:
                    options = options with { Seconds = number };
                    break;
                case "--minutes" when number is > 0 and <= 100_000:
                    options = options with { Minutes = number };
                    break;
                case "--rate" when number is >= 1 and <= 1_000_000:
                    options = options with { Rate = (int)number };
                    break;
                case "--seed" when number >= 0:
                    options = options with { Seed = (int)number };
                    break;
                case "--json" when value.Length > 0:
                    options = options with { Json = value };
                    break;
                case "--svg" when value.Length > 0:
                    options = options with { Svg = value };
                    break;
                default:
                    return null;
            }

            i++;
        }

        return options;
    }
}
