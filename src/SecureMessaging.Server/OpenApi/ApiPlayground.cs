using Microsoft.Extensions.Options;
using Scalar.AspNetCore;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.OpenApi;

/// <summary>Scalar at <c>/playground</c>, from files inside its package. Nothing comes from elsewhere, and nothing typed there is kept.</summary>
internal static class ApiPlayground
{
    public const string Path = "/playground";

    public static void Map(IEndpointRouteBuilder app)
    {
        if (!app.ServiceProvider.GetRequiredService<IOptions<ServerOptions>>().Value.Playground)
            return;
        app.MapScalarApiReference(Path, options => options
                .AddDocument("v1", "SecureMessaging", OpenApiFeature.Path)
                .WithTitle("REST · SecureMessaging")
                .WithNonce()
                .DisableDefaultFonts()
                .DisableTelemetry()
                .DisableAgent()
                .DisableMcp()
                .HideClientButton()
                .HideDeveloperTools()
                .AddPreferredSecuritySchemes(OperationDocs.Bearer))
            .AllowAnonymous()
            .Add(endpoint =>
            {
                if (endpoint.RequestDelegate is not { } serve)
                    return;
                endpoint.RequestDelegate = context =>
                {
                    // Scalar would serve its page under any name below its path.
                    if (context.GetRouteValue("documentName") is not null)
                        throw ApiException.NotFound();
                    context.Response.OnStarting(Protect, context);
                    return serve(context);
                };
            });
    }

    private static Task Protect(object state)
    {
        var context = (HttpContext)state;
        var headers = context.Response.Headers;
        // Scalar writes its styles itself. Of scripts only those of this page's nonce run, and what they import from here.
        var nonce = context.Items[ScalarOptions.NonceHttpContextItemKey] is string given ? $" 'nonce-{given}'" : "";
        headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src 'self'{nonce}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        (headers.XContentTypeOptions, headers["Referrer-Policy"]) = ("nosniff", "no-referrer");
        return Task.CompletedTask;
    }
}
