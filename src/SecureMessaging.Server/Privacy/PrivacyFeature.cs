using Microsoft.AspNetCore.Http.HttpResults;
using SecureMessaging.Server.Auth;

namespace SecureMessaging.Server.Privacy;

/// <summary>What the server holds on whom it is asked by.</summary>
internal static class PrivacyFeature
{
    public static void AddPrivacy(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<PersonalDataStore>();
        builder.Services.AddSingleton<Disclosures>();
    }

    public static void MapPrivacy(this IEndpointRouteBuilder app)
    {
        var me = app.MapGroup("/v1/me").RequireAuthorization().WithTags("Me").NeverStored();
        me.MapGet("data", Disclose).Produces<PersonalData>();
    }

    [EndpointName("getPersonalData"), EndpointSummary("Everything the server holds on the caller's account. One answer at a time.")]
    private static PushStreamHttpResult Disclose(Caller caller, Disclosures disclosures, CancellationToken cancellationToken) =>
        TypedResults.Stream(output => disclosures.WriteAsync(caller.UserId, output, cancellationToken), "application/json");
}
