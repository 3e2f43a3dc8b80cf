using System.Net;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using IPNetwork = System.Net.IPNetwork;

namespace SecureMessaging.Server.Platform;

/// <summary>What every feature stands on: options, time, secret, database, errors.</summary>
internal static class PlatformFeature
{
    /// <summary>Holds a handshake of <see cref="Limits.HandshakeBytes"/> in base64 with what travels along.</summary>
    private const int MaxBodyBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(8);

    public static void AddPlatform(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<ServerOptions>().BindConfiguration(ServerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<PostgresOptions>().BindConfiguration(PostgresOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<ServerSecret>();
        services.AddSingleton<SecurityEvents>();
        services.AddHostedService(provider => provider.GetRequiredService<SecurityEvents>());
        services.AddSingleton(CreateDatabase);
        services.AddSingleton<Installation>();
        services.AddSingleton<DatabaseTrouble>();
        services.AddSingleton<IConfigureOptions<KestrelServerOptions>, ConnectionLimits>();
        services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        services.AddOptions<ServerOptions>().Validate(
            options => options.KnownProxies.All(proxy => IPAddress.TryParse(proxy, out _) || IPNetwork.TryParse(proxy, out _)),
            "Server:KnownProxies takes addresses such as 10.0.0.7, or networks such as 10.0.0.0/8.");
        services.AddOptions<ForwardedHeadersOptions>().Configure<IOptions<ServerOptions>>(BelieveProxies);
        services.AddExceptionHandler<ProblemMapper>();
        services.Configure<RouteHandlerOptions>(route => route.ThrowOnBadRequest = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        });
        services.ConfigureHttpJsonOptions(options => Wire.Configure(options.SerializerOptions, strict: true));
        DapperTypes.Register();
    }

    public static void UsePlatform(this WebApplication app)
    {
        app.UseForwardedHeaders();
        app.UseExceptionHandler(_ => { });
        app.UseStatusCodePages(context => ProblemMapper.WriteBareStatusAsync(context.HttpContext));
        app.Use(RefuseUnreadable);
    }

    public static void MapPlatform(this IEndpointRouteBuilder app) =>
        app.MapGet("/v1/limits", GetLimits).Conditional().AllowAnonymous().WithTags("Server");

    [EndpointName("getLimits"), EndpointSummary("Every limit of the contract, as this server has it.")]
    private static Ok<Limits> GetLimits(Limits limits) => TypedResults.Ok(limits);

    private static void BelieveProxies(ForwardedHeadersOptions forwarded, IOptions<ServerOptions> server)
    {
        forwarded.ForwardedHeaders = server.Value.KnownProxies.Count == 0 ? ForwardedHeaders.None : ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
        // From the last one back, as long as who tells is known.
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

    /// <summary>Endpoints that are mapped here answer HEAD wherever they answer GET (RFC 9110 section 9.3.2). The web server leaves the body out.</summary>
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

    /// <summary>Answers what no endpoint of ours would be asked: wrong paths, methods and bodies, before anybody is told to sign in for them.</summary>
    private static Task RefuseUnreadable(HttpContext context, RequestDelegate next)
    {
        // For a socket the origin is checked before anything else.
        if (context.GetEndpoint() is null && !context.AsksForWebSocket())
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        // Nothing here unpacks: a small body must not become a large one.
        if (!RequestHeaders.IsPlain(context.Request) || !RequestHeaders.IsUtf8(context.Request))
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return Task.CompletedTask;
        }

        if (RequestFault.FindInQuery(context) is { } fault)
            return ProblemMapper.WriteAsync(context, fault, context.RequestAborted);
        // Routing's own endpoints for 405 and 415 are no routes.
        return context.GetEndpoint() is { RequestDelegate: { } refuse } and not RouteEndpoint ? refuse(context) : next(context);
    }

    private static Database CreateDatabase(IServiceProvider services)
    {
        var postgres = services.GetRequiredService<IConfiguration>().GetConnectionString("Postgres");
        if (string.IsNullOrWhiteSpace(postgres) && !string.IsNullOrWhiteSpace(services.GetRequiredService<IConfiguration>().GetConnectionString("Redis")))
        {
            throw new StartException(
                "ConnectionStrings:Redis makes this one of several nodes, and they need a database and keys that they share: set ConnectionStrings:Postgres, "
                + "and let Server:KeyDirectory be a directory that all of them use.");
        }

        var directory = services.GetRequiredService<IOptions<ServerOptions>>().Value.DataDirectory;
        try
        {
            Directories.CreatePrivate(directory);
            return string.IsNullOrWhiteSpace(postgres) ? OpenEmbedded(services, directory) : new PostgresDatabase(
                postgres, services.GetRequiredService<IOptions<PostgresOptions>>().Value, services.GetRequiredService<DatabaseTrouble>());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"The data directory {directory} cannot be used: {exception.Message} Choose another with --Server:DataDirectory=PATH.", exception);
        }
    }

    private static SqliteDatabase OpenEmbedded(IServiceProvider services, string directory)
    {
        var path = Path.Combine(directory, "secure-messaging.db");
        var ownership = new DataDirectoryLock(directory);
        // SQLite would create it readable by all, and gives its log the mode of the file.
        if (!File.Exists(path))
            Directories.TryCreatePrivateFile(path, []);
        return new SqliteDatabase(path, ownership, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<DatabaseTrouble>());
    }
}
