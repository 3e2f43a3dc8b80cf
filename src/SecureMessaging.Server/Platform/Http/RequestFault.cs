using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http.Metadata;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>Describes the parameter or member of an HTTP request that the framework could not read.</summary>
internal static partial class RequestFault
{
    public static readonly ErrorBody Unreadable = new(ErrorCode.Invalid, "The request could not be read.", Retryable: false);

    public static ErrorBody Describe(Exception exception, Endpoint? endpoint)
    {
        if ((exception as JsonException ?? exception.InnerException as JsonException) is { } json)
            return JsonFault.Describe(json, BodyType(endpoint));
        // The query is checked before, and the path selects the endpoint: the body remains.
        return Parameter().IsMatch(exception.Message)
            ? new ErrorBody(ErrorCode.Invalid, "A JSON body must be given.", Retryable: false, Errors: [new FieldError("A JSON body must be given.", "#")])
            : Unreadable;
    }

    public static Endpoint? EndpointOf(HttpContext context) => context.Features.Get<IExceptionHandlerFeature>()?.Endpoint ?? context.GetEndpoint();

    /// <summary>
    /// The first unreadable query parameter; null if there is none. The framework rejects some without a name and ignores others: one without a
    /// value, and one in array notation.
    /// </summary>
    public static ErrorBody? FindInQuery(HttpContext context)
    {
        if (!context.Request.QueryString.HasValue || context.GetEndpoint() is not RouteEndpoint endpoint)
            return null;
        foreach (var parameter in endpoint.Metadata.GetOrderedMetadata<IParameterBindingMetadata>())
        {
            if (!parameter.HasTryParse || endpoint.RoutePattern.GetParameter(parameter.Name) is not null)
                continue;
            foreach (var (key, values) in context.Request.Query)
            {
                var isNamed = key.Equals(parameter.Name, StringComparison.OrdinalIgnoreCase);
                if (isNamed && values.Count > 1)
                    return Refuse(parameter.Name, "must be given once");
                if ((isNamed && !IsReadable(values, parameter.ParameterInfo.ParameterType))
                    || key.StartsWith($"{parameter.Name}[", StringComparison.OrdinalIgnoreCase))
                {
                    return Refuse(parameter.Name, JsonFault.Expectation(parameter.ParameterInfo.ParameterType));
                }
            }
        }

        return null;
    }

    /// <summary>Marks errors of members that this endpoint takes from path or query as parameters; all others are in the body.</summary>
    public static FieldError[]? Locate(FieldError[]? errors, Endpoint? endpoint)
    {
        if (errors is null || endpoint is not RouteEndpoint route)
            return errors;
        return Array.ConvertAll(
            errors,
            error => error.Pointer is ['#', '/', .. var name] && IsParameter(route, name) ? new FieldError(error.Detail, Parameter: name) : error);
    }

    private static bool IsReadable(string? value, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type == typeof(long) ? long.TryParse(value, NumberStyles.Integer, CultureInfo.InvariantCulture, out _)
            : type == typeof(int) ? int.TryParse(value, NumberStyles.Integer, CultureInfo.InvariantCulture, out _)
            : !string.IsNullOrWhiteSpace(value);
    }

    private static bool IsParameter(RouteEndpoint endpoint, string name) =>
        endpoint.Metadata.GetOrderedMetadata<IParameterBindingMetadata>().Any(parameter => parameter.Name == name && parameter.HasTryParse)
        && !(BodyType(endpoint)?.GetProperties().Any(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name) == name) ?? false);

    private static Type? BodyType(Endpoint? endpoint) => endpoint?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType;

    private static ErrorBody Refuse(string parameter, string problem)
    {
        var detail = $"{parameter} {problem}.";
        return new ErrorBody(ErrorCode.Invalid, detail, Retryable: false, Errors: [new FieldError(detail, Parameter: parameter)]);
    }

    [GeneratedRegex("parameter \"[^\"]+\"", RegexOptions.None, 1000)]
    private static partial Regex Parameter();
}
