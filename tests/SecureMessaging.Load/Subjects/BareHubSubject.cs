using System.Globalization;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Load.Client;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Load.Subjects;

/// <summary><see cref="BareHub"/> in a process of its own.</summary>
internal sealed class BareHubSubject(Certificate certificate) : Subject("bare")
{
    private readonly int port = Ports.Take();
    private readonly int securePort = Ports.Take();

    public override async Task StartAsync()
    {
        var (url, secureUrl) = ($"http://127.0.0.1:{Text(port)}", $"https://127.0.0.1:{Text(securePort)}");
        Servers.Add(new Child("dotnet", [typeof(BareHub).Assembly.Location, "bare-hub", url, secureUrl, certificate.Pkcs12], ServerSubject.Environment));
        await ReadyAsync(Servers[0], $"{url}/allocated");
    }

    public override int Port(int client) => port;

    public override int SecurePort(int client) => securePort;

    /// <summary>The sender is not among the others.</summary>
    public override int ReceiversIn(int roomSize) => roomSize - 1;

    protected override Seat SeatAt(string origin, int client, int roomSize)
    {
        var room = $"{Text(roomSize)}-{Text(client / roomSize)}";
        return new Seat(new Uri($"{origin}/hub?room={room}"), null, room);
    }

    protected override async Task<double> AllocatedAsync(int server) => Number(await GetAsync($"http://127.0.0.1:{Text(port)}/allocated"));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
