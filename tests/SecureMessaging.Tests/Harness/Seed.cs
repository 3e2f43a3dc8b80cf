namespace SecureMessaging.Tests.Harness;

/// <summary>The seed of generated test data. SECUREMESSAGING_TEST_SEED repeats a run; <c>tests/run.sh</c> prints the seed.</summary>
public static class Seed
{
    public static int Value { get; } = int.TryParse(Environment.GetEnvironmentVariable("SECUREMESSAGING_TEST_SEED"), out var given) ? given : Choose();

    /// <summary>A separate generator per purpose, so that parallel tests do not influence each other.</summary>
    public static Random For(string purpose)
    {
        var hash = 17;
        foreach (var character in purpose)
            hash = unchecked((hash * 31) + character);
        return new Random(Value ^ hash);
    }

    private static int Choose()
    {
        var seed = Random.Shared.Next();
        Console.WriteLine($"SECUREMESSAGING_TEST_SEED={seed}");
        return seed;
    }
}
