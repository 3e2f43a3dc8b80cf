using System.Globalization;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Load.Subjects;

/// <summary><see cref="BareHub"/> in a process of its own.</summary>
internal sealed class BareHubSubject() : Subject("bare hub")
{
    private readonly string url = $"http://127.0.0.1:{Ports.Take().ToString(CultureInfo.InvariantCulture)}";

    public override Task StartAsync()
    {
        Servers.Add(new Child("dotnet", [typeof(BareHub).Assembly.Location, "bare-hub", url], ServerSubject.Environment));
        return ReadyAsync(Servers[0], $"{url}/allocated");
    }

    public override IReadOnlyList<Seat> Seats(int clients, int roomSize) =>
        [.. Enumerable.Range(0, clients).Select(i => new Seat(new Uri($"{url}/hub?room={roomSize}-{i / roomSize}"), null, null))];

    protected override async Task<double> AllocatedAsync(int server) => Number(await GetAsync($"{url}/allocated"));
}
