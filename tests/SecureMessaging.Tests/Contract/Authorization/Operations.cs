using System.Reflection;
using System.Text.RegularExpressions;
using GraphQL.Types;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Server.Admin.LiveLogs;
using SecureMessaging.Server.Doors.Hub;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Contract.Authorization;

/// <summary>An operation, as the table names it.</summary>
internal abstract record Operation(string Name)
{
    /// <summary>The names of its route values, arguments or parameters.</summary>
    public abstract IReadOnlyCollection<string> Parameters { get; }

    /// <summary>Reads only, so that its callers can share a room.</summary>
    public abstract bool IsRead { get; }

    /// <summary>Own and another's, if the operation names an object of one user. Rooms belong to all members, whose roles are the columns.</summary>
    public IEnumerable<string> Objects => Parameters.Contains("deviceId") || Calls.WithOwner.Contains(Name) ? ["own", "another's"] : ["-"];
}

internal sealed record RestOperation(string Method, string Path, string[] Route) : Operation($"{Method} {Path}")
{
    public override IReadOnlyCollection<string> Parameters => Route;

    public override bool IsRead => Method == "GET";
}

internal sealed record HubOperation(Type Hub, MethodInfo Method) : Operation($"{Hub.Name}.{Method.Name}")
{
    public override IReadOnlyCollection<string> Parameters => [.. Method.GetParameters().Select(parameter => parameter.Name!)];

    public override bool IsRead => false;
}

internal sealed record GraphQLOperation(string Root, FieldType Field) : Operation($"{Root} {Field.Name}")
{
    public override IReadOnlyCollection<string> Parameters => [.. Field.Arguments?.Select(argument => argument.Name) ?? []];

    public override bool IsRead => Root != "mutation";
}

/// <summary>Finds every operation of the server in its own metadata, so that none can be forgotten.</summary>
internal static partial class Operations
{
    public static List<Operation> Of(TestServer server) => [.. Hubs(), .. Endpoints(server), .. Fields(server)];

    private static IEnumerable<Operation> Hubs() =>
        from hub in typeof(ChatHub).Assembly.GetTypes()
        where hub.IsAssignableTo(typeof(Hub)) && !hub.IsAbstract
        orderby hub == typeof(AdminHub), hub.Name
        from method in hub.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
        where !method.IsSpecialName && method.GetBaseDefinition() == method
        select new HubOperation(hub, method);

    private static IEnumerable<Operation> Endpoints(TestServer server) => (
        from endpoint in server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
        let path = "/" + Constraint().Replace(endpoint.RoutePattern.RawText!, "}").Trim('/')
        // A hub's endpoints have no method; its calls are operations of their own.
        from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods
            ?? [path.EndsWith("/negotiate", StringComparison.Ordinal) ? "POST" : "GET"]
        where method is not ("OPTIONS" or "CONNECT" or "HEAD")
        select (Path: path, Method: method, Operation: new RestOperation(
            method, path, [.. endpoint.RoutePattern.Parameters.Select(parameter => parameter.Name)])))
        .OrderBy(found => found.Path, StringComparer.Ordinal).ThenBy(found => found.Method, StringComparer.Ordinal).Select(found => found.Operation);

    private static IEnumerable<Operation> Fields(TestServer server)
    {
        var schema = server.Services.GetRequiredService<ISchema>();
        schema.Initialize();
        return (from root in new[] { ("query", schema.Query), ("mutation", schema.Mutation!), ("subscription", schema.Subscription!) }
                from field in root.Item2.Fields
                where !field.Name.StartsWith("__", StringComparison.Ordinal)
                select (Root: root.Item1, Field: field)).OrderBy(found => found.Root, StringComparer.Ordinal)
                    .ThenBy(found => found.Field.Name, StringComparer.Ordinal)
            .Select(found => new GraphQLOperation(found.Root, found.Field));
    }

    [GeneratedRegex(@":\w+\}", RegexOptions.None, 10_000)]
    private static partial Regex Constraint();
}
