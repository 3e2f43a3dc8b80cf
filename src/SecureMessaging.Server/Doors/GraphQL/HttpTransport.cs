using System.Buffers;
using System.IO.Pipelines;
using GraphQL;
using GraphQL.SystemTextJson;
using GraphQLParser.AST;
using Microsoft.Net.Http.Headers;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>GraphQL over HTTP (the GraphQL Foundation's specification, draft of 2025): GET and POST, both media types.</summary>
internal sealed class HttpTransport(Executor executor, RequestReader reader, GraphQLSerializer serializer)
{
    private const string Json = "application/json";
    private const string GraphQLResponse = "application/graphql-response+json";
    private const int MaxBodyBytes = 4 * 1024 * 1024;

    /// <summary>For callers that have not signed in: enough for a document of sign-up, sign-in or refresh.</summary>
    private const int MaxOpenBodyBytes = 256 * 1024;

    private static readonly MediaTypeHeaderValue JsonType = new(Json);
    private static readonly MediaTypeHeaderValue GraphQLResponseType = new(GraphQLResponse);

    public async Task HandleAsync(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers.Vary = "Accept";
        var type = Negotiate(context.Request);
        if (type is null)
        {
            await WriteAsync(
                context, Json, StatusCodes.Status406NotAcceptable, Executor.Refuse(new(ErrorCode.Invalid, $"Accept {GraphQLResponse} or {Json}.", false)));
            return;
        }

        // 1. An unreadable request: an error status for either media type.
        OperationRequest request;
        try
        {
            request = await ReadAsync(context);
        }
        catch (Exception exception) when (exception is ApiException or BadHttpRequestException)
        {
            var body = exception is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }
                ? new ErrorBody(ErrorCode.TooLarge, "The request is too large.", false)
                : exception is ApiException ? ApiException.Describe(exception) : new ErrorBody(ErrorCode.Invalid, "The request could not be read.", false);
            await WriteAsync(
                context, type, context.Response.StatusCode >= 400 ? context.Response.StatusCode : ProblemMapper.Status(body.Code), Executor.Refuse(body));
            return;
        }

        // 2. A rejected document: 200 for the older media type (section 6.4.1), the catalogue's status for the newer one.
        ExecutionResult result;
        try
        {
            var info = Info(context);
            var prepared = executor.Prepare(request, info);
            if (prepared.Type != OperationType.Query && IsRead(context.Request))
            {
                context.Response.Headers.Allow = "POST";
                await WriteAsync(
                    context, type, StatusCodes.Status405MethodNotAllowed, Executor.Refuse(new(ErrorCode.Invalid, "GET supports only queries.", false)));
                return;
            }

            if (prepared.Type == OperationType.Subscription)
                throw ApiException.Invalid("Subscribe by WebSocket, with the subprotocol graphql-transport-ws.");
            result = await executor.ExecuteAsync(prepared, info, context.RequestAborted);
        }
        catch (ApiException exception)
        {
            result = Executor.Refuse(exception.ToBody());
            if (exception.RetryAfterMs is { } delay)
                context.Response.Headers.RetryAfter = ProblemMapper.Seconds(delay);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        var status = result.Executed || type == Json || result.Errors is not { Count: > 0 } refused
            ? StatusCodes.Status200OK
            : ProblemMapper.Status(GraphQLErrors.Describe(refused[0]).Code);
        await WriteAsync(context, type, status, result);
    }

    private static bool IsRead(HttpRequest request) => HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method);

    public static GraphQLRequestInfo Info(HttpContext context) => context.User.Identity is { IsAuthenticated: true }
        ? new GraphQLRequestInfo(Caller.From(context.User), ClientAddress.Of(context))
        : new GraphQLRequestInfo(null, ClientAddress.Of(context));

    private async Task<OperationRequest> ReadAsync(HttpContext context)
    {
        var request = context.Request;
        if (IsRead(request))
            return reader.Read(request.Query);
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals(Json, StringComparison.OrdinalIgnoreCase))
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            throw ApiException.Invalid("The body must be application/json in UTF-8.");
        }

        var most = context.User.Identity is { IsAuthenticated: true } ? MaxBodyBytes : MaxOpenBodyBytes;
        if (request.ContentLength > most)
            throw ApiException.TooLarge("The request", most);
        var body = await ReadBodyAsync(request.BodyReader, most, context.RequestAborted);
        try
        {
            using var json = reader.Parse(body);
            return reader.Read(json.RootElement);
        }
        finally
        {
            request.BodyReader.AdvanceTo(body.End);
        }
    }

    private static async Task<ReadOnlySequence<byte>> ReadBodyAsync(PipeReader body, int most, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await body.ReadAsync(cancellationToken);
            if (read.Buffer.Length > most)
                throw ApiException.TooLarge("The request", most);
            if (read.IsCompleted)
                return read.Buffer;
            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>The media type that the client prefers, JSON by default (section 6.2). Null: it accepts neither.</summary>
    private static string? Negotiate(HttpRequest request)
    {
        if (request.Headers.Accept.Count == 0)
            return Json;
        if (!MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted))
            return null;
        var (json, response) = (Wish(accepted, JsonType), Wish(accepted, GraphQLResponseType));
        return json.Weight <= 0 && response.Weight <= 0 ? null : response.CompareTo(json) > 0 ? GraphQLResponse : Json;
    }

    /// <summary>The weight of the most specific matching range (RFC 9110 section 12.5.1). Between equal ranges the earlier one counts.</summary>
    private static (double Weight, int Closeness, int Place) Wish(IList<MediaTypeHeaderValue> accepted, MediaTypeHeaderValue offered)
    {
        var best = (Weight: 0.0, Closeness: -1, Place: 0);
        for (var i = 0; i < accepted.Count; i++)
        {
            var range = accepted[i];
            var closeness = range.MatchesAllTypes ? 0 : range.MatchesAllSubTypes ? 1 : 2;
            // The framework's match accepts application/x+json as application/json.
            var matches = range.MatchesAllTypes || (range.MatchesAllSubTypes && range.Type.Equals(offered.Type, StringComparison.OrdinalIgnoreCase))
                || range.MediaType.Equals(offered.MediaType, StringComparison.OrdinalIgnoreCase);
            if (closeness > best.Closeness && matches
                && (!range.Charset.HasValue || HeaderUtilities.RemoveQuotes(range.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase)))
                best = (range.Quality ?? 1.0, closeness, -i);
        }

        return best;
    }

    private async Task WriteAsync(HttpContext context, string type, int status, ExecutionResult result)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = $"{type}; charset=utf-8";
        try
        {
            await serializer.WriteAsync(context.Response.Body, result, context.RequestAborted);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected.
        }
    }
}
