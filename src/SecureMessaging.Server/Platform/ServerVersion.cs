using System.Reflection;

namespace SecureMessaging.Server.Platform;

/// <summary>Which version of the product this process runs; from <c>Directory.Build.props</c>.</summary>
internal static class ServerVersion
{
    public static string Current { get; } =
        typeof(ServerVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
