namespace SecureMessaging.Server.Web;

/// <summary>The web app at <c>/</c>. Section <c>Web</c>.</summary>
internal sealed class WebOptions
{
    public const string Section = "Web";

    /// <summary>Off: there is no app, whatever the build took in.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>A folder with another build of the app. Default: the one that is built into the server, if any. Read once, at the start.</summary>
    public string? Root { get; set; }

    public bool IsRootUsable => string.IsNullOrEmpty(Root) || File.Exists(Path.Combine(Root, WebFiles.Index));
}
