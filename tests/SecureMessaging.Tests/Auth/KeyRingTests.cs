using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Platform.Startup;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Auth;

public sealed class KeyRingTests(SqliteServer server)
{
    [Fact]
    public async Task Key_rotation_rejects_no_valid_token()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var ring = own.Services.GetRequiredService<KeyRing>();
        var first = ring.Current.Id;
        Assert.Equal(KeyTurn.Nothing, ring.Turn());

        own.Time.Advance(TimeSpan.FromDays(90) - TimeSpan.FromMinutes(14));
        Assert.Equal(KeyTurn.Created, ring.Turn());
        Assert.Equal(first, ring.Current.Id);
        Assert.Equal(2, await PublishedAsync(own));
        var before = await user.SignInAsync();

        own.Time.Advance(TimeSpan.FromMinutes(16));
        Assert.NotEqual(first, ring.Current.Id);
        Assert.Equal(2, await PublishedAsync(own));
        var after = await user.SignInAsync();
        Assert.Equal(200, await own.Http.ProbeAsync(after.AccessToken));
        Assert.Equal(401, await own.Http.ProbeAsync(before.AccessToken));

        // Ten minutes after its last token, plus five minutes of clock difference, the old key is gone, also from the disk.
        own.Time.Advance(TimeSpan.FromMinutes(8));
        ring.Turn();
        Assert.Equal(2, await PublishedAsync(own));
        own.Time.Advance(TimeSpan.FromMinutes(8));
        ring.Turn();
        Assert.Equal(1, await PublishedAsync(own));
        Assert.Single(Directory.GetFiles(Path.Combine(own.DataDirectory, "keys"), "signing-*.json"));
        Assert.Equal(200, await own.Http.ProbeAsync((await user.SignInAsync()).AccessToken));
    }

    [Fact]
    public async Task A_token_of_the_old_key_stays_valid_after_the_rotation()
    {
        await using var own = await server.DedicatedAsync();
        await using var user = await own.SignUpAsync();
        var ring = own.Services.GetRequiredService<KeyRing>();
        own.Time.Advance(TimeSpan.FromDays(90) - TimeSpan.FromMinutes(15));
        ring.Turn();
        own.Time.Advance(TimeSpan.FromMinutes(13));
        var tokens = await user.SignInAsync();
        var old = ring.Current.Id;
        own.Time.Advance(TimeSpan.FromMinutes(9));
        Assert.NotEqual(old, ring.Current.Id);
        Assert.Equal(200, await own.Http.ProbeAsync(tokens.AccessToken));
    }

    [Fact]
    public void Nodes_that_start_at_the_same_time_agree_on_one_key_and_load_each_others_keys()
    {
        using var directory = new TestDirectory();
        var time = new AdjustableTime(shared: false);
        var rings = new KeyRing[8];
        Parallel.For(0, rings.Length, i => rings[i] = Ring(directory.Path, time));
        Assert.Single(rings.Select(ring => ring.Current.Id).Distinct());

        time.Advance(TimeSpan.FromDays(91));
        Parallel.ForEach(rings.Skip(1), ring => ring.Turn());
        time.Advance(TimeSpan.FromMinutes(16));
        var current = Assert.Single(rings.Skip(1).Select(ring => ring.Current.Id).Distinct());
        Assert.NotEqual(current, rings[0].Current.Id);
        Assert.Equal(current, rings[0].Find(current)?.Id);
        Assert.Equal(current, rings[0].Current.Id);
    }

    [Fact]
    public void A_node_whose_key_another_node_has_restored_under_a_later_number_learns_the_key_that_took_its_number()
    {
        using var directory = new TestDirectory();
        var time = new AdjustableTime(shared: false);
        KeyRing[] old = [Ring(directory.Path, time), Ring(directory.Path, time)];
        var key = old[0].Current.Id;
        File.Delete(SigningKey.PathOf(directory.Path, 1));
        var other = Ring(directory.Path, time).Current.Id;
        Assert.Equal(KeyTurn.Restored, old[0].Turn());
        Assert.Equal(KeyTurn.Nothing, old[1].Turn());
        Assert.All(old, ring => Assert.Equal((key, other, key), (ring.Find(key)?.Id, ring.Find(other)?.Id, ring.Current.Id)));
    }

    [Fact]
    public void A_lost_key_file_is_restored_and_a_replaced_one_is_kept_beside_the_other()
    {
        using var directory = new TestDirectory();
        var time = new AdjustableTime(shared: false);
        KeyRing[] old = [Ring(directory.Path, time), Ring(directory.Path, time)];
        var key = old[0].Current.Id;
        File.Delete(SigningKey.PathOf(directory.Path, 1));
        Assert.Equal(KeyTurn.Restored, old[0].Turn());
        Assert.Equal(KeyTurn.Nothing, old[1].Turn());
        Assert.Equal(key, Ring(directory.Path, time).Current.Id);

        File.Delete(SigningKey.PathOf(directory.Path, 1));
        var started = Ring(directory.Path, time);
        var other = started.Current.Id;
        Assert.NotEqual(key, other);
        Parallel.ForEach(old, ring => ring.Turn());
        started.Turn();
        Assert.All([.. old, started], ring => Assert.Equal((key, other, key), (ring.Find(key)?.Id, ring.Find(other)?.Id, ring.Current.Id)));

        // The replaced key is deleted once no token of it can be valid.
        time.Advance(TimeSpan.FromMinutes(16));
        foreach (var ring in old.Append(started))
            ring.Turn();
        Assert.All([.. old, started], ring => Assert.Equal([key], ring.Published.Select(published => published.Id)));
    }

    [Fact]
    public async Task A_key_file_that_is_a_dangling_link_is_restored_under_the_next_number()
    {
        using var directory = new TestDirectory();
        var time = new AdjustableTime(shared: false);
        var ring = Ring(directory.Path, time);
        var key = ring.Current.Id;
        var file = SigningKey.PathOf(directory.Path, 1);
        File.Delete(file);
        File.CreateSymbolicLink(file, directory.Combine("nowhere"));
        // On its own thread: an endless loop would block the other tests.
        Assert.Equal(KeyTurn.Restored, await Task.Factory.StartNew(ring.Turn, TaskCreationOptions.LongRunning).WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Equal(key, SigningKey.Load(directory.Path, 2)?.Id);
        Assert.Equal(key, ring.Current.Id);
    }

    [Fact]
    public void Key_files_are_private_and_a_broken_one_stops_the_start()
    {
        using var directory = new TestDirectory();
        var time = new AdjustableTime(shared: false);
        Ring(directory.Path, time);
        var file = Assert.Single(Directory.GetFiles(directory.Path, "signing-*.json"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        File.WriteAllText(file, "{}");
        var refusal = Assert.Throws<InvalidOperationException>(() => Ring(directory.Path, time));
        Assert.Contains(file, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_key_ids_do_not_read_the_disk_each_time()
    {
        using var directory = new TestDirectory();
        var time = new AdjustableTime(shared: false);
        var ring = Ring(directory.Path, time);
        Assert.Null(ring.Find("made up"));
        // A new key is not visible until the pause ends.
        Assert.True(SigningKey.TryCreate(directory.Path, 2, time.GetUtcNow().UtcDateTime.AddHours(1)));
        var id = SigningKey.Load(directory.Path, 2)!.Id;
        Assert.Null(ring.Find(id));
        time.Advance(TimeSpan.FromSeconds(6));
        Assert.NotNull(ring.Find(id));
    }

    private static KeyRing Ring(string directory, TimeProvider time) =>
        new(Options.Create(new ServerOptions { KeyDirectory = directory }), Options.Create(new AuthOptions()), time);

    private static async Task<int> PublishedAsync(TestServer own)
    {
        var set = await own.Http.GetFromJsonAsync<JsonObject>("/.well-known/jwks.json");
        return set!["keys"]!.AsArray().Count;
    }
}
