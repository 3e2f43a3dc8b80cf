using System.Globalization;
using System.Text;
using Microsoft.Extensions.Configuration.EnvironmentVariables;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.FileProviders.Physical;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>
/// Reads and checks the settings before any other work. A misspelt name stops the server on the command line and is reported in the environment or a
/// file; an invalid value stops it with one sentence.
/// </summary>
internal static partial class Settings
{
    private const string ConfigSwitch = "--config";
    private const string FileName = "appsettings.json";

    /// <summary>Settings of the framework, which are not checked further.</summary>
    private static readonly string[] ForeignSections = ["Kestrel", "Logging", "OTEL"];

    private static readonly string[] ForeignNames =
    [
        "environment", "contentRoot", "applicationName", "webroot", "AllowedHosts", "http_ports", "https_ports", "shutdownTimeoutSeconds",
        "hostBuilder:reloadConfigOnChange",
    ];

    public static bool AskForHelp(string[] args) => args is ["help", ..] || args.Any(argument => argument is "--help" or "-h" or "-?");

    public static string Help(string verbs)
    {
        var text = new StringBuilder(verbs).AppendLine()
            .AppendLine("Settings, as --Section:Name=value, in the environment as Section__Name=value, or in appsettings.json:").AppendLine();
        foreach (var setting in Setting.All.Values.OrderBy(setting => setting.Name.Contains(':')).ThenBy(setting => setting.Name, StringComparer.Ordinal))
            text.AppendLine(CultureInfo.InvariantCulture, $"  {setting.Name + (setting.IsList ? ":0…" : ""),-40} {setting.Default ?? "none"}");
        return text.ToString();
    }

    public static (string[] Settings, string? File) Read(string[] args)
    {
        var rest = new List<string>(args.Length);
        string? file = null;
        for (var i = 0; i < args.Length; i++)
        {
            var argument = args[i];
            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            var key = equals < 0 ? argument : argument[..equals];
            if (!key.StartsWith("--", StringComparison.Ordinal))
                throw new StartException($"\"{key}\" is not a setting. Settings follow the verb as --Section:Name=value; --help lists them.");
            string value;
            if (equals >= 0)
                value = argument[(equals + 1)..];
            else if (i + 1 < args.Length && !args[i + 1].StartsWith("--", StringComparison.Ordinal))
                value = args[++i];
            else
                throw new StartException($"{key} has no value. Settings are given as --Section:Name=value.");
            if (key == ConfigSwitch)
            {
                file = value;
                continue;
            }

            var name = key[2..].Replace("__", ":", StringComparison.Ordinal);
            if (!IsKnown(name))
                throw new StartException($"{name} is not a setting of this server.{Suggest(name)} --help lists all.");
            rest.Add($"--{name}={value}");
        }

        return ([.. rest], file);
    }

    /// <summary>
    /// Adds <c>appsettings.json</c> of the program's directory with lower priority than that of the working directory, and the file of
    /// <c>--config</c> with higher priority than both.
    /// </summary>
    public static void AddFiles(ConfigurationManager configuration, string? file)
    {
        IList<IConfigurationSource> sources = configuration.Sources;
        var first = sources.TakeWhile(source => source is not JsonConfigurationSource).Count();
        if (!string.Equals(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory), Directory.GetCurrentDirectory(), StringComparison.Ordinal))
            sources.Insert(first, Json(Path.Combine(AppContext.BaseDirectory, FileName), optional: true));
        if (file is null)
            return;
        var path = Path.GetFullPath(file);
        if (!File.Exists(path))
            throw new StartException($"There is no file {path} ({ConfigSwitch}).");
        // Higher priority than all files, lower than the environment and the command line.
        sources.Insert(sources.Count - sources.Reverse().TakeWhile(source => source is not JsonConfigurationSource).Count(), Json(path, optional: false));
    }

    public static void CheckValues(IConfiguration configuration)
    {
        foreach (var setting in Setting.All.Values)
        {
            // In the environment, an empty text means that a setting is not set.
            if (!setting.IsList && configuration[setting.Name] is { Length: > 0 } text && setting.Refuse(text) is { } refusal)
                throw new StartException(refusal);
        }

        if (configuration["Server:DataDirectory"] is { } directory && string.IsNullOrWhiteSpace(directory))
            throw new StartException("Server:DataDirectory must not be empty.");
        var certificate = configuration.GetSection("Kestrel:Certificates:Default").GetChildren().Any();
        if (configuration["urls"] is { Length: > 0 } urls)
            ListenAddress.Check("urls", urls, certificate);
        foreach (var endpoint in configuration.GetSection("Kestrel:Endpoints").GetChildren())
        {
            if (endpoint["Url"] is { } url)
                ListenAddress.Check($"{endpoint.Path}:Url", url, certificate || endpoint.GetSection("Certificate").GetChildren().Any());
        }

        if (configuration["Management:Url"] is { Length: > 0 } management)
            ListenAddress.Check("Management:Url", management, hasCertificate: false);
        if (configuration.GetConnectionString("Redis") is { Length: > 0 } redis)
            RedisSettings.Parse(redis);
    }

    /// <summary>
    /// Logs names in the environment and in files that have no effect. They may belong to other programs, so they do not stop the start.
    /// </summary>
    public static void ReportUnknown(IConfigurationRoot configuration, ILogger logger)
    {
        var reported = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var provider in configuration.Providers)
        {
            var isFile = provider is JsonConfigurationProvider;
            if (!isFile && provider is not EnvironmentVariablesConfigurationProvider)
                continue;
            foreach (var name in Names(provider, null))
            {
                if (!IsKnown(name) && (isFile || IsMeantForUs(name)) && reported.Add(name))
                    Unknown(logger, name, isFile ? "a file" : "the environment", Suggest(name));
            }
        }
    }

    private static JsonConfigurationSource Json(string path, bool optional) => new()
    {
        FileProvider = Directory.Exists(Path.GetDirectoryName(path)) ? new PhysicalFileProvider(Path.GetDirectoryName(path)!, ExclusionFilters.None) : null,
        Path = Path.GetFileName(path),
        Optional = optional,
    };

    private static bool IsKnown(string name) => Setting.All.TryGetValue(name, out var setting) && !setting.IsList
        || Setting.All.TryGetValue(Parent(name), out var list) && list.IsList
        || ForeignNames.Contains(name, StringComparer.OrdinalIgnoreCase)
        || Array.Exists(ForeignSections, section => name.StartsWith(section, StringComparison.OrdinalIgnoreCase));

    private static string Parent(string name) =>
        name.LastIndexOf(':') is var colon and > 0 && int.TryParse(name.AsSpan(colon + 1), CultureInfo.InvariantCulture, out _) ? name[..colon] : "";

    /// <summary>The environment contains variables of other programs: a name counts if its section is one of ours, or almost.</summary>
    private static bool IsMeantForUs(string name)
    {
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && Setting.Sections.Any(section => Distance(section, name[..colon]) <= (section.Length > 4 ? 2 : 0));
    }

    private static string Suggest(string name)
    {
        var nearest = Setting.All.Keys.MinBy(known => IsAlike(known, name) ? 1 : Distance(known, name))!;
        return Distance(nearest, name) <= Math.Max(2, name.Length / 4) || IsAlike(nearest, name) ? $" Did you mean {nearest}?" : "";
    }

    private static bool IsAlike(string known, string name) => known.StartsWith(name, StringComparison.OrdinalIgnoreCase)
        || string.Equals(known[(known.LastIndexOf(':') + 1)..], name[(name.LastIndexOf(':') + 1)..], StringComparison.OrdinalIgnoreCase);

    private static IEnumerable<string> Names(IConfigurationProvider provider, string? parent)
    {
        foreach (var key in provider.GetChildKeys([], parent).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            var name = parent is null ? key : $"{parent}:{key}";
            if (provider.TryGet(name, out _))
                yield return name;
            foreach (var inner in Names(provider, name))
                yield return inner;
        }
    }

    /// <summary>Letters to insert, delete or replace (Levenshtein), ignoring case.</summary>
    private static int Distance(string one, string other)
    {
        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        for (var i = 1; i <= one.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= other.Length; j++)
            {
                var replace = diagonal + (char.ToLowerInvariant(one[i - 1]) == char.ToLowerInvariant(other[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replace, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }

    [LoggerMessage(1003, LogLevel.Warning, "{Setting:l} in {Place:l} is not a setting of this server and has no effect.{Hint:l}")]
    private static partial void Unknown(ILogger logger, string setting, string place, string hint);
}
