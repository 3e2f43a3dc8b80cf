namespace SecureMessaging.Tests.Harness;

/// <summary>A directory that is deleted at the end of the test.</summary>
public sealed class TestDirectory : IDisposable
{
    // Created by its user, because tests check the mode that it then has.
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"secure-messaging-test-{Guid.NewGuid():N}");

    public string Combine(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        if (Directory.Exists(Path))
            Directory.Delete(Path, recursive: true);
    }
}
