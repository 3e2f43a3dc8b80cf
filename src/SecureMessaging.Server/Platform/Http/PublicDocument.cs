namespace SecureMessaging.Server.Platform.Http;

/// <summary>A document for client developers, listed by <c>/docs</c>.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Title">Its subject.</param>
internal sealed record PublicDocument(string Path, string Title);
