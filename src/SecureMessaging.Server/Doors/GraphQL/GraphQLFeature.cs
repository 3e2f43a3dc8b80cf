using GraphQL;
using GraphQL.Execution;
using GraphQL.SystemTextJson;
using GraphQL.Types;
using GraphQL.Validation;
using SecureMessaging.Server.Platform.Diagnostics;
using SecureMessaging.Server.Platform.Http;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>GraphQL at <c>/graphql</c>, over HTTP and graphql-transport-ws, with the same operations as the hub and REST.</summary>
internal static class GraphQLFeature
{
    public const string Path = "/graphql";

    public static void AddGraphQL(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<GraphQLOptions>().BindConfiguration(GraphQLOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IRootFields, AccountFields>();
        services.AddSingleton<IRootFields, RoomFields>();
        services.AddSingleton<IRootFields, DeviceFields>();
        services.AddSingleton<IRootFields, HandshakeFields>();
        services.AddSingleton<IRootFields, NotificationFields>();
        services.AddSingleton<IRootFields, AdminFields>();
        services.AddSingleton<IRootFields, SubscriptionFields>();
        services.AddSingleton<IRootFields, EphemeralFields>();
        services.AddSingleton<ISchema>(
            provider => new MessagingSchema(new global::GraphQL.MicrosoftDI.SelfActivatingServiceProvider(provider), provider.GetServices<IRootFields>()));
        services.AddSingleton<IDocumentExecuter, DocumentExecuter>();
        services.AddSingleton<IValidationRule, SignInRule>();
        services.AddSingleton<IValidationRule, IntrospectionRule>();
        services.AddSingleton<DocumentLimits>();
        services.AddSingleton<GraphQLErrors>();
        services.AddSingleton<IErrorInfoProvider>(provider => provider.GetRequiredService<GraphQLErrors>());
        services.AddSingleton(provider => new GraphQLSerializer(
            options =>
            {
                // The default encoder writes the plus of base64 as six characters.
                options.Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
            },
            provider.GetRequiredService<IErrorInfoProvider>()));
        services.AddSingleton<IManagementPage, Playground>();
        services.AddSingleton(new PublicDocument(SchemaDocument.Path, "GraphQL schema (SDL)"));
        services.AddSingleton<Executor>();
        services.AddSingleton<RequestReader>();
        services.AddSingleton<HttpTransport>();
        services.AddSingleton<GraphQLSocketServices>();
        services.AddSingleton<SocketTransport>();
    }

    public static void MapGraphQL(this IEndpointRouteBuilder app)
    {
        var (http, sockets) = (app.ServiceProvider.GetRequiredService<HttpTransport>(), app.ServiceProvider.GetRequiredService<SocketTransport>());
        var pipeline = app.CreateApplicationBuilder();
        pipeline.UseWebSockets();
        pipeline.Run(context => context.WebSockets.IsWebSocketRequest ? sockets.HandleAsync(context) : http.HandleAsync(context));
        // Anonymous, because the schema decides for each field: a field that is not open needs a sign-in.
        app.MapMethods(
            Path, [HttpMethods.Get, HttpMethods.Post, HttpMethods.Connect], pipeline.Build()).AllowAnonymous().WithTags("graphql").WithDisplayName("GraphQL");
        SchemaDocument.Map(app);
    }
}
