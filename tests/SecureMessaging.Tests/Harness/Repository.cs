namespace SecureMessaging.Tests.Harness;

/// <summary>Paths in the source tree of these tests.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>Debug or Release: other projects run in the configuration of these tests.</summary>
    public static string Configuration { get; } = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/')).Parent!.Name;

    private static string Framework { get; } = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/')).Name;

    public static string PathOf(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <summary>The built assembly of a project, such as <c>src/SecureMessaging.Server</c>.</summary>
    public static string BuiltAssembly(string project)
    {
        var path = PathOf(project, "bin", Configuration, Framework, Path.GetFileName(project) + ".dll");
        return File.Exists(path) ? path : throw new InvalidOperationException($"{path} is missing; build the solution in {Configuration}.");
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "SecureMessaging.sln")))
            directory = directory.Parent;
        return directory?.FullName ?? throw new InvalidOperationException($"No SecureMessaging.sln above {AppContext.BaseDirectory}.");
    }
}
