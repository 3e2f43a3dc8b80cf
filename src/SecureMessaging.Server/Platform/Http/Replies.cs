using Microsoft.AspNetCore.Http.HttpResults;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>Replies of operations that return nothing.</summary>
internal static class Replies
{
    /// <summary>204 once the operation has succeeded.</summary>
    public static async Task<NoContent> NoContentAsync(this Task operation)
    {
        await operation;
        return TypedResults.NoContent();
    }
}
