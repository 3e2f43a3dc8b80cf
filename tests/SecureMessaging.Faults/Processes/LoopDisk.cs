namespace SecureMessaging.Faults.Processes;

/// <summary>A small ext4 file system in a file, which can be filled and robbed of its power.</summary>
internal sealed class LoopDisk : IAsyncDisposable
{
    private const long Bytes = 320L * 1024 * 1024;
    private readonly string directory;
    private string image;

    private LoopDisk(string directory) => (this.directory, image) = (directory, Path.Combine(directory, "image"));

    public string MountPoint => Path.Combine(directory, "mount");

    private string Ballast => Path.Combine(MountPoint, "ballast");

    public static async Task<LoopDisk> CreateAsync()
    {
        var disk = new LoopDisk(Scratch.Create("sm-faults-disk-"));
        try
        {
            Directory.CreateDirectory(disk.MountPoint);
            await using (var file = File.Create(disk.image))
                file.SetLength(Bytes);
            await Child.RunAsync("mkfs.ext4", "-q", "-F", disk.image);
            await Child.RunAsync("mount", "-o", "loop", disk.image, disk.MountPoint);
            return disk;
        }
        catch
        {
            await disk.DisposeAsync();
            throw;
        }
    }

    /// <summary>Leaves no byte free, except for root.</summary>
    public async Task FillAsync()
    {
        await using var file = File.Create(Ballast);
        var block = new byte[1024 * 1024];
        try
        {
            while (true)
                await file.WriteAsync(block);
        }
        catch (IOException)
        {
            // Full, which is what we came for.
        }
    }

    public void Empty() => File.Delete(Ballast);

    /// <summary>
    /// Takes what has reached the disk, while its writer stands still, and goes on from that: what was only in memory is gone, as after a power cut.
    /// </summary>
    /// <param name="kill">Ends the writer, once the copy is made.</param>
    public async Task CutPowerAsync(Func<Task> kill)
    {
        var copy = Path.Combine(directory, $"image-{Guid.NewGuid():N}");
        // A cut is one instant: when the kernel wrote to the disk during the copy, the copy is of no instant and is made again.
        for (var attempt = 0; ; attempt++)
        {
            await Child.RunAsync("cp", "--sparse=always", image, copy);
            try
            {
                await Child.RunAsync("cmp", "-s", image, copy);
                break;
            }
            catch (InvalidOperationException) when (attempt < 20)
            {
                await Task.Delay(100);
            }
        }

        await kill();
        await UnmountAsync();
        File.Delete(image);
        image = copy;
        await Child.RunAsync("mount", "-o", "loop", image, MountPoint);
    }

    /// <summary>The last process of a killed family may still be on its way out.</summary>
    private async Task UnmountAsync()
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await Child.RunAsync("umount", MountPoint);
                return;
            }
            catch (InvalidOperationException exception) when (attempt < 50 && exception.Message.Contains("busy", StringComparison.Ordinal))
            {
                await Task.Delay(100);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await UnmountAsync();
        }
        catch (InvalidOperationException)
        {
            // It was never mounted.
        }

        Scratch.Delete(directory);
    }
}
