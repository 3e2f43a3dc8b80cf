using System.Text.RegularExpressions;
using GraphQL;
using GraphQL.Execution;
using GraphQL.Types;
using GraphQL.Validation;
using GraphQLParser.AST;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>
/// Maps every failure of an operation to a GraphQL error with the fields of <see cref="ErrorBody"/> in <c>extensions</c>. Texts of the library's rules pass,
/// cut to one line: they describe the caller's own document.
/// </summary>
internal sealed partial class GraphQLErrors(TimeProvider time, ILogger<GraphQLErrors> logger) : IErrorInfoProvider
{
    private const int MaxText = 300;

    private readonly OncePerMinute lines = new(time);

    public ErrorInfo GetInfo(ExecutionError executionError)
    {
        var body = Describe(executionError);
        var extensions = new Dictionary<string, object?>(StringComparer.Ordinal) { ["code"] = body.Code.ToString(), ["retryable"] = body.Retryable };
        if (body.RetryAfterMs is { } delay)
            extensions["retryAfterMs"] = delay;
        if (body.CurrentEpoch is { } epoch)
            extensions["currentEpoch"] = epoch;
        if (body.CurrentNumber is { } number)
            extensions["currentNumber"] = number;
        if (body.Errors is { Length: > 0 } errors)
            extensions["errors"] = Array.ConvertAll(
                errors, error => new Dictionary<string, object?>(StringComparer.Ordinal) { ["pointer"] = error.Pointer, ["detail"] = error.Detail });
        return new ErrorInfo { Message = body.Message, Extensions = extensions };
    }

    public static ErrorBody Describe(ExecutionError error)
    {
        for (Exception? cause = error; cause is not null; cause = cause.InnerException)
        {
            if (cause is ApiException known)
                return known.ToBody();
        }

        return error switch
        {
            Refusal refusal => refusal.Body,
            // The library's text repeats an unreadable value, which may be a secret.
            InvalidVariableError or InvalidLiteralError or InvalidValueError => Mistyped(error.Message),
            DocumentError or RequestError => InDocument(OneLine(error.Message)),
            _ => ApiException.Describe(error),
        };
    }

    public Task OnUnhandledAsync(UnhandledExceptionContext context)
    {
        var field = context.FieldContext?.FieldDefinition.Name ?? "(none)";
        if (context.OriginalException is not (ApiException or OperationCanceledException)
            && lines.Allows($"{context.OriginalException.GetType().Name} {field}", out var others))
            Failed(logger, field, others, context.OriginalException);
        if (context is { OriginalException: ApiException { Errors: not null } refused, FieldContext.FieldDefinition.Arguments: { } arguments })
            context.Exception = InArgument(refused, arguments);
        return Task.CompletedTask;
    }

    /// <summary>Errors of operations point into the request record. If one argument is that record, the pointer gets the argument's name in front.</summary>
    private static ApiException InArgument(ApiException refused, QueryArguments arguments)
    {
        if (arguments.Any(argument => refused.Errors!.Any(error => error.Pointer == $"#/{argument.Name}")))
            return refused;
        var inputs = arguments.Where(argument => argument.ResolvedType?.GetNamedType() is IInputObjectGraphType).ToList();
        return inputs is [var only] ? refused.Within(only.Name) : refused;
    }

    private static ErrorBody InDocument(string text) =>
        new(ErrorCode.Invalid, text, false, Errors: Locate(text) is { } pointer ? [new FieldError(text, pointer)] : null);

    /// <summary>Of the library's text only the location passes. It has only names of the caller's document and of the schema.</summary>
    private static ErrorBody Mistyped(string text)
    {
        if (Locate(text) is not { } pointer)
            return new ErrorBody(ErrorCode.Invalid, "A variable or argument has the wrong type.", false);
        var detail = $"{pointer[2..]} must have its type in the schema.";
        return new ErrorBody(ErrorCode.Invalid, detail, false, Errors: [new FieldError(detail, pointer)]);
    }

    /// <summary>The variable or argument that the library's text begins with.</summary>
    private static string? Locate(string text) => Place().Match(text) is { Success: true } match
        ? $"#/{string.Join('/', match.Groups["name"].Value.Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))}"
        : null;

    [GeneratedRegex("^(Variable '\\$|Argument ')(?<name>[A-Za-z0-9_.\\[\\]]{1,200})'", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Place();

    private static string OneLine(string text)
    {
        var line = text.AsSpan().IndexOfAny('\r', '\n') is var end and >= 0 ? text[..end] : text;
        return line.Length <= MaxText ? line : line[..MaxText];
    }

    [LoggerMessage(7000, LogLevel.Error, "GraphQL field {Field} failed ({Count} more since the last such line)")]
    private static partial void Failed(ILogger logger, string field, int count, Exception exception);
}

/// <summary>A request that the server's own rules reject before execution.</summary>
internal sealed class Refusal : ValidationError
{
    public Refusal(ErrorBody body)
        : base(body.Message) => Body = body;

    public Refusal(ValidationContext context, ErrorBody body, ASTNode node)
        : base(context.Document.Source, "", body.Message, node) => Body = body;

    public ErrorBody Body { get; }
}
