using GraphQL;
using GraphQL.Types;
using GraphQL.Validation;
using GraphQLParser;
using GraphQLParser.AST;
using GraphQLParser.Exceptions;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>A request as either transport reads it.</summary>
internal sealed record OperationRequest(string Query, string? OperationName, Inputs Variables);

/// <summary>A request whose document was read and is within the limits.</summary>
internal sealed record PreparedOperation(OperationRequest Request, GraphQLDocument Document, GraphQLOperationDefinition Operation, int Cost)
{
    public OperationType Type => Operation.Operation;
}

/// <summary>Reads, bounds and executes operations, for both transports alike.</summary>
internal sealed class Executor(
    IDocumentExecuter executer, ISchema schema, DocumentLimits limits, GraphQLErrors errors, IEnumerable<IValidationRule> rules, IServiceProvider services, RateLimits rates)
{
    /// <summary>Fields of one operation that may wait for the database at once.</summary>
    private const int MaxParallel = 4;

    /// <summary>What any operation costs, whatever it asks for, and also one that is refused: to read a document is work.</summary>
    private const int BaseCost = 10;

    /// <summary>The first ones say what is wrong; a document can have thousands.</summary>
    private const int MaxErrors = 10;

    private readonly IValidationRule[] rules = [.. DocumentValidator.CoreRules, .. rules];

    /// <summary>Throws an <see cref="ApiException"/> that says what is wrong with the document, or that the caller has asked for too much of late.</summary>
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
            throw ApiException.Invalid($"The document cannot be read: line {exception.Location.Line}, column {exception.Location.Column}.");
        }
        catch (GraphQLMaxDepthExceededException)
        {
            throw new ApiException(ErrorCode.TooLarge, "The document is nested too deeply.");
        }
    }

    /// <summary>Throws an <see cref="ApiException"/> when the caller has asked for too much of late.</summary>
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

    /// <summary>The result of an operation that was refused.</summary>
    public static ExecutionResult Refuse(ErrorBody body) => new(new Refusal(body));

    private static GraphQLOperationDefinition Choose(GraphQLDocument document, string? name)
    {
        GraphQLOperationDefinition? chosen = null;
        foreach (var operation in document.Definitions.OfType<GraphQLOperationDefinition>())
        {
            if (name is { Length: > 0 } && operation.Name?.Value != name)
                continue;
            if (chosen is not null)
                throw ApiException.Invalid("Name the operation: the document has several.");
            chosen = operation;
        }

        return chosen ?? throw ApiException.Invalid("The document has no such operation.");
    }
}
