using System.Globalization;

namespace SecureMessaging.Faults;

/// <summary>The command line.</summary>
internal sealed record Options
{
    public const string Usage = """
        SecureMessaging.Faults [run]      injects faults under load and checks what clients saw
        SecureMessaging.Faults prove      shows that the checker finds planted bugs
          --list               what there is
          --faults a,b         only these (default: all)      --engine sqlite|postgres (default: both)
          --duration SECONDS   of load for each fault (default: 6; from 60 on, numbers of clients are those of the promise)
          --seed N             repeats the choices of a run   --json FILE    the report, one object a fault
        Exit code: 0 all invariants held, 1 a violation, 2 wrong usage.
        """;

    public string Verb { get; init; } = "run";
    public bool List { get; init; }
    public string[] Faults { get; init; } = [];
    public string? Engine { get; init; }
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(6);
    public int Seed { get; init; } = Random.Shared.Next(1, 1_000_000);
    public string? Json { get; init; }

    public bool IsLong => Duration >= TimeSpan.FromMinutes(1);

    /// <summary>Null when it makes no sense.</summary>
    public static Options? Parse(string[] arguments)
    {
        var options = new Options();
        for (var i = 0; i < arguments.Length; i++)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            switch (arguments[i])
            {
                case "run" or "prove" when i == 0:
                    options = options with { Verb = arguments[0] };
                    continue;
                case "--list":
                    options = options with { List = true };
                    continue;
                case "--faults":
                    options = options with { Faults = value.Split(',', StringSplitOptions.RemoveEmptyEntries) };
                    break;
                case "--engine" when value is "sqlite" or "postgres":
                    options = options with { Engine = value };
                    break;
                case "--duration" when double.TryParse(value, CultureInfo.InvariantCulture, out var seconds) && seconds > 0:
                    options = options with { Duration = TimeSpan.FromSeconds(seconds) };
                    break;
                case "--seed" when int.TryParse(value, out var seed):
                    options = options with { Seed = seed };
                    break;
                case "--json" when value.Length > 0:
                    options = options with { Json = value };
                    break;
                default:
                    return null;
            }

            i++;
        }

        return options;
    }
}
