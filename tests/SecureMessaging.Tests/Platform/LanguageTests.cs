using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using SecureMessaging.Protocol;
using SecureMessaging.Server;
using SecureMessaging.Tests.Admin;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary>The machine's language and its language libraries do not change the server's behaviour.</summary>
public sealed class LanguageTests
{
    /// <summary>Other digits, another calendar, another minus sign, a decimal comma, and a dotless i.</summary>
    private static readonly string[] Languages = ["ar-SA", "fa-IR", "sv-SE", "de-DE", "tr-TR", "th-TH"];

    /// <summary>Replaces each ICU library by an empty file.</summary>
    private const string NoIcu =
        "for library in $(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk '/libicu/ {print $NF}'); "
        + "do mount --bind /dev/null $(readlink -f $library) || exit 99; done";

    [Theory]
    [InlineData(null)]
    [InlineData(NoIcu)]
    public async Task Without_ICU_the_server_does_not_start_and_names_the_package(string? before)
    {
        using var directory = new TestDirectory();
        await using var process = new ServerProcess(directory.Path) { Before = before };
        if (before is null)
            process.Environment["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1";
        process.Launch();
        await process.ExitedAsync();
        var line = Assert.Single(process.Output);
        Assert.StartsWith("The server needs ICU", line, StringComparison.Ordinal);
        Assert.Contains("Install libicu", line, StringComparison.Ordinal);
        Assert.Contains("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", line, StringComparison.Ordinal);
        Assert.Equal(1, process.ExitCode);
        Assert.False(Directory.Exists(directory.Path));
    }

    /// <summary>Checked in the composition, because cultures belong to a process and this one has other servers.</summary>
    [Fact]
    public async Task A_server_runs_in_the_invariant_culture()
    {
        using var directory = new TestDirectory();
        var before =
            (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture, CultureInfo.DefaultThreadCurrentCulture, CultureInfo.DefaultThreadCurrentUICulture);
        try
        {
            foreach (var language in Languages)
            {
                var culture = CultureInfo.GetCultureInfo(language);
                // A thread's own culture takes precedence over the default for new threads.
                (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture) = (culture, culture);
                (CultureInfo.DefaultThreadCurrentCulture, CultureInfo.DefaultThreadCurrentUICulture) = (culture, culture);
                CultureInfo[] seen = [];
                await using (ServerApp.Build(
                    ["--urls=http://127.0.0.1:0", $"--Server:DataDirectory={directory.Path}", "--Management:Url=", "--Logs:Console=false"],
                    _ => seen =
                    [
                        CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture, CultureInfo.DefaultThreadCurrentCulture!,
                        CultureInfo.DefaultThreadCurrentUICulture!,
                    ]))
                    Assert.All(seen, one => Assert.Equal(CultureInfo.InvariantCulture, one));
                Assert.Equal(4, seen.Length);
            }
        }
        finally
        {
            (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture) = (before.CurrentCulture, before.CurrentUICulture);
            (CultureInfo.DefaultThreadCurrentCulture, CultureInfo.DefaultThreadCurrentUICulture) =
                (before.DefaultThreadCurrentCulture, before.DefaultThreadCurrentUICulture);
        }
    }

    [Theory]
    [InlineData("sv_SE.UTF-8")]
    [InlineData("ar_SA.UTF-8")]
    public async Task Help_does_not_depend_on_the_machines_language(string language)
    {
        var texts = new List<string>();
        foreach (var name in new[] { "C", language })
        {
            var (code, output, _) = await Programs.RunAsync(
                Repository.BuiltAssembly("src/SecureMessaging.Server"), ["--help"], new() { ["LANG"] = name, ["LC_ALL"] = name });
            Assert.Equal(0, code);
            // The node's name is random at each start.
            texts.Add(string.Join('\n', output.Split('\n').Where(line => !line.StartsWith("  Server:NodeName ", StringComparison.Ordinal))));
        }

        // A number with a decimal point, and a time.
        Assert.Contains(" 0.1\n", texts[0], StringComparison.Ordinal);
        Assert.Contains(" 1.00:00:00\n", texts[0], StringComparison.Ordinal);
        Assert.Equal(texts[0], texts[1]);
    }

    [Trait("Ring", "Full")]
    [Fact]
    public async Task Numbers_and_dates_do_not_depend_on_the_machines_language()
    {
        using var directory = new TestDirectory();
        await using var process = new ServerProcess(directory.Path);
        foreach (var name in new[] { "LANG", "LC_ALL" })
            process.Environment[name] = "ar_SA.UTF-8";
        process.Environment["RateLimits__Enabled"] = "true";
        await process.StartAsync();
        await using var user = await TestPeople.SignUpAsync(process.Url);
        var room = await user.CreateRoomAsync([]);
        using var sent = await user.Http.PostAsJsonAsync(
            $"/v1/rooms/{room.Id}/messages", new SendRequest(room.Id, Guid.NewGuid(), [1], TimeToLiveSeconds: 3600), Wire.Json);
        var ack = await sent.ReadAsync<SendAck>();
        Assert.Equal(2, ack.Seq);
        Assert.InRange(ack.CreatedAt, DateTime.UtcNow.AddMinutes(-5), DateTime.UtcNow);
        Assert.Equal("\"sends\";q=2000;w=40, \"requests\";q=3000;w=30", string.Join(
            ", ", sent.Headers.GetValues("RateLimit-Policy").Single().Split(", ").Order(StringComparer.Ordinal).Reverse()));
        using var profile = JsonDocument.Parse(await user.Http.GetStringAsync("/v1/me"));
        Assert.StartsWith($"{DateTime.UtcNow.Year}-", profile.RootElement.GetProperty("createdOn").GetString(), StringComparison.Ordinal);
        using var refused = await user.Http.GetAsync($"/v1/rooms/{room.Id}/log?afterSeq=-1");
        Assert.Equal("afterSeq must be 0 to 9007199254740991.", (await refused.ReadErrorAsync(400, ErrorCode.Invalid)).Message);
        foreach (var line in process.Output.Where(line => line.StartsWith('{')))
        {
            using var logged = JsonDocument.Parse(line);
            Assert.InRange(logged.RootElement.GetProperty("@t").GetDateTime(), DateTime.UtcNow.AddMinutes(-10), DateTime.UtcNow.AddMinutes(1));
        }
    }
}
