using SecureMessaging.Server.Platform;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>Nodes that start at once share a key directory: what one has made, no other may replace.</summary>
public sealed class PrivateFileTests
{
    [Fact]
    public void Of_many_that_make_a_file_at_once_one_does_and_all_read_its()
    {
        using var directory = new TestDirectory();
        Directories.CreatePrivate(directory.Path);
        const int Nodes = 8;
        for (var round = 0; round < 100; round++)
        {
            var path = Path.Combine(directory.Path, $"secret{round}");
            var made = new bool[Nodes];
            var read = new byte[Nodes];
            Parallel.For(0, Nodes, new ParallelOptions { MaxDegreeOfParallelism = Nodes }, node =>
            {
                made[node] = Directories.TryCreatePrivateFile(path, [(byte)node]);
                read[node] = File.ReadAllBytes(path)[0];
            });
            var winner = Assert.Single(Enumerable.Range(0, Nodes), node => made[node]);
            Assert.All(read, content => Assert.Equal(winner, content));
        }

        Assert.Equal(100, Directory.GetFiles(directory.Path).Length);
    }
}
