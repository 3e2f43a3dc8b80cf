using System.Net;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Startup;
using IPNetwork = System.Net.IPNetwork;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>The pipeline of every request: connection limits, forwarded headers, origins, errors, and checks before routing.</summary>
internal static class HttpFeature
{
    /// <summary>Fits a handshake of <see cref="Limits.HandshakeBytes"/> in base64 and the rest of its request.</summary>
    private const int MaxBodyBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan PingPeriod = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan PongTimeout = TimeSpan.FromSeconds(15);

    public static void AddHttp(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<ServerOptions>().BindConfiguration(ServerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<SecurityEvents>();
        services.AddHostedService(provider => provider.GetRequiredService<SecurityEvents>());
        services.AddSingleton<ManagementOrigins>();
        services.AddSingleton<IConfigureOptions<KestrelServerOptions>, ConnectionLimits>();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        services.AddOptions<ServerOptions>().Validate(
            options => options.KnownProxies.All(proxy => IPAddress.TryParse(proxy, out _) || IPNetwork.TryParse(proxy, out _)),
            "Server:KnownProxies takes addresses such as 10.0.0.7, or networks such as 10.0.0.0/8.");
        services.AddOptions<ServerOptions>().Validate(
            options => options.AllowedOrigins.All(OriginCheck.IsOrigin),
            "Server:AllowedOrigins takes origins such as https://chat.example.org, in lower case and without a path.");
        services.AddCors();
        services.AddOptions<CorsOptions>().Configure<IOptions<ServerOptions>, IServiceProvider>(OriginCheck.ConfigureCors);
        services.AddOptions<ForwardedHeadersOptions>().Configure<IOptions<ServerOptions>>(TrustProxies);
        services.AddExceptionHandler<ProblemMapper>();
        services.Configure<RouteHandlerOptions>(route => route.ThrowOnBadRequest = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        });
        // For the WebSockets of GraphQL and of the administrators' hub. HubWebSocket pings the chat hub's sockets itself.
        services.Configure<WebSocketOptions>(options => (options.KeepAliveInterval, options.KeepAliveTimeout) = (PingPeriod, PongTimeout));
        services.ConfigureHttpJsonOptions(options => Wire.Configure(options.SerializerOptions, strict: true));
    }

    /// <summary>Before every component that replies: a browser shows an error to a page of an allowed origin only with CORS headers.</summary>
    public static void UseCrossOrigin(this WebApplication app) => app.UseCors();

    public static void UseHttp(this WebApplication app)
    {
        app.UseForwardedHeaders();
        app.UseExceptionHandler(_ => { });
        app.UseStatusCodePages(context => ProblemMapper.WriteBareStatusAsync(context.HttpContext));
        app.Use(RejectUnreadable);
    }

    public static void MapLimits(this IEndpointRouteBuilder app) =>
        app.MapGet("/v1/limits", GetLimits).Conditional().AllowAnonymous().WithTags("Server");

    [EndpointName("getLimits"), EndpointSummary("Every limit of the contract, as this server has it.")]
    private static Ok<Limits> GetLimits(Limits limits) => TypedResults.Ok(limits);

    private static void TrustProxies(ForwardedHeadersOptions forwarded, IOptions<ServerOptions> server)
    {
        forwarded.ForwardedHeaders = server.Value.KnownProxies.Count == 0
            ? ForwardedHeaders.None
            : ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
        // Entries are read from the last to the first while each comes from a known proxy.
        forwarded.ForwardLimit = null;
        forwarded.KnownProxies.Clear();
        forwarded.KnownIPNetworks.Clear();
        foreach (var proxy in server.Value.KnownProxies)
        {
            if (IPAddress.TryParse(proxy, out var address))
                forwarded.KnownProxies.Add(address);
            else
                forwarded.KnownIPNetworks.Add(IPNetwork.Parse(proxy));
        }
    }

    /// <summary>Endpoints of this builder answer HEAD where they answer GET (RFC 9110 section 9.3.2). The web server omits the body.</summary>
    public static IEndpointRouteBuilder AnswerHead(this IEndpointRouteBuilder app)
    {
        var group = app.MapGroup("");
        ((IEndpointConventionBuilder)group).Finally(endpoint =>
        {
            for (var i = 0; i < endpoint.Metadata.Count; i++)
            {
                if (endpoint.Metadata[i] is HttpMethodMetadata given && given.HttpMethods.Contains(HttpMethods.Get, StringComparer.OrdinalIgnoreCase)
                    && !given.HttpMethods.Contains(HttpMethods.Head, StringComparer.OrdinalIgnoreCase))
                    endpoint.Metadata[i] = new HttpMethodMetadata([.. given.HttpMethods, HttpMethods.Head], given.AcceptCorsPreflight);
            }
        });
        return group;
    }

    /// <summary>Rejects wrong paths, methods and bodies before authentication, so that the client gets the real reason instead of 401.</summary>
    private static Task RejectUnreadable(HttpContext context, RequestDelegate next)
    {
        // A WebSocket's origin is checked first.
        if (context.GetEndpoint() is null && !context.AsksForWebSocket())
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        // The server does not decompress: a small body must not become a large one.
        if (!RequestHeaders.IsPlain(context.Request) || !RequestHeaders.IsUtf8(context.Request))
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return Task.CompletedTask;
        }

        if (RequestFault.FindInQuery(context) is { } fault)
            return ProblemMapper.WriteAsync(context, fault, context.RequestAborted);
        // Routing answers 405 and 415 with endpoints that are not route endpoints.
        return context.GetEndpoint() is { RequestDelegate: { } refuse } and not RouteEndpoint ? refuse(context) : next(context);
    }
}
