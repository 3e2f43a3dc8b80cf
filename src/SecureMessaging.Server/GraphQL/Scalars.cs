using System.Buffers.Text;
using GraphQL.Types;
using GraphQLParser.AST;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform;

namespace SecureMessaging.Server.GraphQL;

/// <summary>Bytes as text. Enters and leaves as <c>byte[]</c>.</summary>
internal sealed class Base64Type : ScalarGraphType
{
    public Base64Type()
    {
        Name = "Base64";
        Description = "Bytes, opaque to the server, as base64 with padding (RFC 4648 section 4).";
    }

    public override object? ParseLiteral(GraphQLValue value) => value switch
    {
        GraphQLStringValue text => Parse((string)text.Value) ?? ThrowLiteralConversionError(value),
        GraphQLNullValue => null,
        _ => ThrowLiteralConversionError(value),
    };

    public override object? ParseValue(object? value) => value switch
    {
        string text => Parse(text) ?? ThrowValueConversionError(null),
        byte[] bytes => bytes,
        null => null,
        // Not the value: its text would come back in the error.
        _ => ThrowValueConversionError(null),
    };

    public override object? Serialize(object? value) => value is byte[] bytes ? Convert.ToBase64String(bytes) : null;

    private static byte[]? Parse(string text) => Base64.IsValid(text.AsSpan()) && !text.AsSpan().ContainsAny(' ', '\n', '\r') ? Convert.FromBase64String(text) : null;
}

/// <summary>Seqs and epochs.</summary>
internal sealed class LongType : ScalarGraphType
{
    public LongType()
    {
        Name = "Long";
        Description = "A whole number as a JSON number, 0 to 2^53 - 1, which every JSON reader keeps exactly.";
    }

    public override object? ParseLiteral(GraphQLValue value) => value switch
    {
        GraphQLIntValue number when long.TryParse(number.Value.Span, out var parsed) && IsPosition(parsed) => parsed,
        GraphQLNullValue => null,
        _ => ThrowLiteralConversionError(value),
    };

    public override object? ParseValue(object? value) => value switch
    {
        int number and >= 0 => (long)number,
        long number when IsPosition(number) => number,
        null => null,
        _ => ThrowValueConversionError(null),
    };

    public override object? Serialize(object? value) => value switch
    {
        int number => (long)number,
        long number => number,
        _ => null,
    };

    private static bool IsPosition(long number) => number is >= 0 and <= Positions.Most;
}

/// <summary>The catalogue's names as they stand in <c>extensions.code</c>.</summary>
internal sealed class ErrorCodeType() : WireEnumType<ErrorCode>("The catalogue of everything that can go wrong, the same over hub, REST and GraphQL.", constantCase: false);
