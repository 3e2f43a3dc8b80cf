using System.Text.RegularExpressions;
using GraphQL;
using GraphQL.Execution;
using GraphQL.Types;
using GraphQL.Validation;
using GraphQLParser.AST;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>
/// Turns every failure of an operation into a GraphQL error whose <c>extensions</c> hold the fields of <see cref="ErrorBody"/>. The texts of the library's own
/// rules pass, in one line: they say what is wrong with the caller's own document.
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
        if (body.Errors is { Length: > 0 } errors)
            extensions["errors"] = Array.ConvertAll(errors, error => new Dictionary<string, object?>(StringComparer.Ordinal) { ["pointer"] = error.Pointer, ["detail"] = error.Detail });
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
            // Of a value that cannot be read the library's text repeats the value, which may be a secret.
            InvalidVariableError or InvalidLiteralError or InvalidValueError => Mistyped(error.Message),
            DocumentError or RequestError => new ErrorBody(ErrorCode.Invalid, OneLine(error.Message), false),
            _ => ApiException.Describe(error),
        };
    }

    /// <summary>Called by the executer for what resolvers throw.</summary>
    public Task OnUnhandledAsync(UnhandledExceptionContext context)
    {
        var field = context.FieldContext?.FieldDefinition.Name ?? "(none)";
        if (context.OriginalException is not (ApiException or OperationCanceledException) && lines.Allows($"{context.OriginalException.GetType().Name} {field}", out var others))
            Failed(logger, field, others, context.OriginalException);
        if (context is { OriginalException: ApiException { Errors: not null } refused, FieldContext.FieldDefinition.Arguments: { } arguments })
            context.Exception = InArgument(refused, arguments);
        return Task.CompletedTask;
    }

    /// <summary>Operations name members of a record. Where the record is an input object, they are members of that argument.</summary>
    private static ApiException InArgument(ApiException refused, QueryArguments arguments)
    {
        if (arguments.Any(argument => refused.Errors!.Any(error => error.Pointer == $"#/{argument.Name}")))
            return refused;
        var inputs = arguments.Where(argument => argument.ResolvedType?.GetNamedType() is IInputObjectGraphType).ToList();
        return inputs is [var only] ? refused.Within(only.Name) : refused;
    }

    /// <summary>Of the library's text only the place is repeated, which is made of names of the caller's document and of the schema.</summary>
    private static ErrorBody Mistyped(string text)
    {
        if (Place().Match(text) is not { Success: true } match)
            return new ErrorBody(ErrorCode.Invalid, "A variable or argument does not have its type.", false);
        var pointer = $"#/{string.Join('/', match.Groups["name"].Value.Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))}";
        var detail = $"{pointer[2..]} does not have the type that the schema gives it.";
        return new ErrorBody(ErrorCode.Invalid, detail, false, Errors: [new FieldError(detail, pointer)]);
    }

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

/// <summary>A request that is refused by rules of ours before it is executed.</summary>
internal sealed class Refusal : ValidationError
{
    public Refusal(ErrorBody body)
        : base(body.Message) => Body = body;

    public Refusal(ValidationContext context, ErrorBody body, ASTNode node)
        : base(context.Document.Source, "", body.Message, node) => Body = body;

    public ErrorBody Body { get; }
}
