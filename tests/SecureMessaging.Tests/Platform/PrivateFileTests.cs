using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Nodes that start at the same time share a key directory: no node replaces a file of another.</summary>
public sealed class PrivateFileTests
{
    [Fact]
    public void Of_simultaneous_creators_of_a_file_one_succeeds_and_all_read_its_content()
    {
        using var directory = new TestDirectory();
        Directories.CreatePrivate(directory.Path);
        const int nodes = 8;
        for (var round = 0; round < 100; round++)
        {
            var path = Path.Combine(directory.Path, $"secret{round}");
            var made = new bool[nodes];
            var read = new byte[nodes];
            Parallel.For(0, nodes, new ParallelOptions { MaxDegreeOfParallelism = nodes }, node =>
            {
                made[node] = Directories.TryCreatePrivateFile(path, [(byte)node]);
                read[node] = File.ReadAllBytes(path)[0];
            });
            var winner = Assert.Single(Enumerable.Range(0, nodes), node => made[node]);
            Assert.All(read, content => Assert.Equal(winner, content));
        }

        Assert.Equal(100, Directory.GetFiles(directory.Path).Length);
    }
}
