using System.Reflection;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>The product's version of this process, from <c>Directory.Build.props</c>.</summary>
internal static class ServerVersion
{
    public static string Current { get; } =
        typeof(ServerVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
