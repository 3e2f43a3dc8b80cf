using GraphQL;
using GraphQL.Types;
using GraphQL.Validation;
using GraphQLParser;
using GraphQLParser.AST;
using GraphQLParser.Exceptions;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

internal sealed record OperationRequest(string Query, string? OperationName, Inputs Variables);

internal sealed record PreparedOperation(OperationRequest Request, GraphQLDocument Document, GraphQLOperationDefinition Operation, int Cost)
{
    public OperationType Type => Operation.Operation;
}

/// <summary>Parses, bounds and executes operations for both transports.</summary>
internal sealed class Executor(
    IDocumentExecuter executer, ISchema schema, DocumentLimits limits, GraphQLErrors errors, IEnumerable<IValidationRule> rules, IServiceProvider services,
    RateLimits rates)
{
    /// <summary>Fields of one operation that may wait for the database at the same time.</summary>
    private const int MaxParallel = 4;

    /// <summary>The least cost of an operation, also of a rejected one: parsing is work.</summary>
    private const int BaseCost = 10;

    /// <summary>A document can have thousands of errors. The first ones are enough to correct it.</summary>
    private const int MaxErrors = 10;

    private readonly IValidationRule[] rules = [.. DocumentValidator.CoreRules, .. rules];

    /// <summary>Throws an <see cref="ApiException"/> for an invalid document, or a caller over its rate limit.</summary>
    public PreparedOperation Prepare(OperationRequest request, GraphQLRequestInfo info)
    {
        try
        {
            return Read(request);
        }
        catch (ApiException)
        {
            Spend(info, BaseCost);
            throw;
        }
    }

    private PreparedOperation Read(OperationRequest request)
    {
        try
        {
            limits.CheckText(request.Query);
            var document = Parser.Parse(request.Query, new ParserOptions { Ignore = IgnoreOptions.Comments });
            var cost = limits.CheckDocument(document, request.Variables);
            return new PreparedOperation(request, document, Choose(document, request.OperationName), cost);
        }
        catch (GraphQLSyntaxErrorException exception)
        {
            throw ApiException.Invalid($"The document has a syntax error at line {exception.Location.Line}, column {exception.Location.Column}.");
        }
        catch (GraphQLMaxDepthExceededException)
        {
            throw new ApiException(ErrorCode.TooLarge, "The document is nested too deeply.");
        }
    }

    public Task<ExecutionResult> ExecuteAsync(PreparedOperation prepared, GraphQLRequestInfo info, CancellationToken cancellationToken)
    {
        Spend(info, BaseCost + prepared.Cost);
        return RunAsync(prepared, info, cancellationToken);
    }

    private void Spend(GraphQLRequestInfo info, int cost) => rates.GraphQL.Spend(info.Caller?.UserId ?? info.Address, cost);

    private async Task<ExecutionResult> RunAsync(PreparedOperation prepared, GraphQLRequestInfo info, CancellationToken cancellationToken)
    {
        var result = await executer.ExecuteAsync(new ExecutionOptions
        {
            Schema = schema,
            Query = prepared.Request.Query,
            Document = prepared.Document,
            OperationName = prepared.Operation.Name?.StringValue,
            Variables = prepared.Request.Variables,
            ValidationRules = rules,
            UserContext = new RequestContext(info),
            RequestServices = services,
            MaxParallelExecutionCount = MaxParallel,
            UnhandledExceptionDelegate = errors.OnUnhandledAsync,
            CancellationToken = cancellationToken,
        });
        if (result is { Executed: false, Errors.Count: > MaxErrors })
        {
            var first = new ExecutionErrors();
            first.AddRange(result.Errors.Take(MaxErrors));
            result.Errors = first;
        }

        return result;
    }

    public static ExecutionResult Refuse(ErrorBody body) => new(new Refusal(body));

    private static GraphQLOperationDefinition Choose(GraphQLDocument document, string? name)
    {
        GraphQLOperationDefinition? chosen = null;
        foreach (var operation in document.Definitions.OfType<GraphQLOperationDefinition>())
        {
            if (name is { Length: > 0 } && operation.Name?.Value != name)
                continue;
            if (chosen is not null)
                throw ApiException.Invalid("operationName must be given: the document has several operations.");
            chosen = operation;
        }

        return chosen ?? throw ApiException.Invalid("The document has no operation of this name.");
    }
}
