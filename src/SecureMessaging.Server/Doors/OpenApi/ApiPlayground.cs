using Microsoft.Extensions.Options;
using Scalar.AspNetCore;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Startup;

namespace SecureMessaging.Server.Doors.OpenApi;

/// <summary>Scalar at <c>/playground</c>, served from its package. The page loads nothing from other hosts and stores nothing.</summary>
internal sealed class ApiPlayground(IOptions<ServerOptions> options, ApiAddress api) : IManagementPage
{
    private const string Root = "/playground";
    private const string Script = Root + "/start.js";

    public string? Path => options.Value.Playground ? Root : null;

    public void Map(IEndpointRouteBuilder app)
    {
        var start = EmbeddedFile.Read("playground.js");
        app.MapGet(Script, () => TypedResults.Bytes(start, "text/javascript; charset=utf-8"));
        app.MapScalarApiReference(Root, (scalar, context) =>
        {
            var address = api.For(context.Request);
            scalar.AddDocument("v1", "SecureMessaging", address + OpenApiFeature.Path)
                .AddServer(address)
                .WithTitle("REST · SecureMessaging")
                .WithNonce()
                .DisableDefaultFonts()
                .DisableTelemetry()
                .DisableAgent()
                .DisableMcp()
                .HideClientButton()
                .HideDeveloperTools()
                .AddPreferredSecuritySchemes(OperationDocs.Bearer)
                .WithJavaScriptConfiguration($"{Script}?api={Uri.EscapeDataString(address)}")
                .AddHeaderContent(Header);
        }).Add(endpoint =>
        {
            if (endpoint.RequestDelegate is not { } serve)
                return;
            endpoint.RequestDelegate = context =>
            {
                // Scalar would serve its page under every name below its path.
                if (context.GetRouteValue("documentName") is not null)
                {
                    context.Response.StatusCode = StatusCodes.Status404NotFound;
                    return Task.CompletedTask;
                }

                context.Response.OnStarting(() => Protect(context));
                return serve(context);
            };
        });
    }

    private const string Header = """
        <form id="account" style="display:flex;gap:1rem;align-items:baseline;padding:.75rem 1rem;font:14px system-ui">
        <button style="font:inherit;padding:.25rem .75rem" name="account" value="new">Make a test account</button>
        <span id="who">and sign in with it: the examples are then its own, and work in the order of the page.</span></form>
        """;

    private Task Protect(HttpContext context)
    {
        var headers = context.Response.Headers;
        // Scalar writes inline styles. Scripts run only with this page's nonce or from this origin.
        var nonce = context.Items[ScalarOptions.NonceHttpContextItemKey] is string given ? $" 'nonce-{given}'" : "";
        headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src 'self'{nonce}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
            + $"connect-src 'self' {api.For(context.Request)}; "
            + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
        headers["Referrer-Policy"] = "no-referrer";
        return Task.CompletedTask;
    }
}
