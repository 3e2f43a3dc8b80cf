namespace SecureMessaging.Tests.Harness;

/// <summary>Compares with a file of the source tree, so that a change of a contract shows in the diff.</summary>
internal static class Snapshot
{
    private const string UpdateVariable = "SECUREMESSAGING_UPDATE_SNAPSHOTS";

    public static void Matches(string actual, params string[] path)
    {
        var file = Repository.PathOf(path);
        if (Environment.GetEnvironmentVariable(UpdateVariable) == "1")
            File.WriteAllText(file, actual);
        var expected = File.Exists(file) ? File.ReadAllText(file) : "";
        if (actual == expected)
            return;
        var (was, now) = (expected.Split('\n'), actual.Split('\n'));
        var line = was.Zip(now).TakeWhile(pair => pair.First == pair.Second).Count();
        Assert.Fail($"{string.Join('/', path)} differs from line {line + 1} on. There: \"{At(was, line)}\", now: \"{At(now, line)}\". "
            + $"When the change is meant, run with {UpdateVariable}=1 and commit the file.");
    }

    private static string At(string[] lines, int index) => index < lines.Length ? lines[index] : "(end)";
}
