namespace SecureMessaging.Tests.Harness;

/// <summary>A directory that is gone when the test is.</summary>
public sealed class TestDirectory : IDisposable
{
    // Created by whoever uses it: what mode it then has is part of what is tested.
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"secure-messaging-test-{Guid.NewGuid():N}");

    public string Combine(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose()
    {
        if (Directory.Exists(Path))
            Directory.Delete(Path, recursive: true);
    }
}
