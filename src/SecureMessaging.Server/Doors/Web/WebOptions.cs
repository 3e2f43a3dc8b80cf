namespace SecureMessaging.Server.Doors.Web;

/// <summary>The web app at <c>/</c>. Section <c>Web</c>.</summary>
internal sealed class WebOptions
{
    public const string Section = "Web";

    /// <summary>False disables the app, also if the build contains one.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>A folder with another build of the app. Default: the app in the server's build, if any. Read once, at the start.</summary>
    public string? Root { get; set; }

    public bool IsRootUsable => string.IsNullOrEmpty(Root) || File.Exists(Path.Combine(Root, WebFiles.Index));
}
