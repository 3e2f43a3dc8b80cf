using System.Buffers.Text;
using GraphQL.Types;
using GraphQLParser.AST;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Data;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>Bytes as text. In code they are <c>byte[]</c>.</summary>
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
        // Without the value, which the error would repeat.
        _ => ThrowValueConversionError(null),
    };

    public override object? Serialize(object? value) => value is byte[] bytes ? Convert.ToBase64String(bytes) : null;

    private static byte[]? Parse(string text) =>
        Base64.IsValid(text.AsSpan()) && !text.AsSpan().ContainsAny(' ', '\n', '\r') ? Convert.FromBase64String(text) : null;
}

internal sealed class LongType : ScalarGraphType
{
    public LongType()
    {
        Name = "Long";
        Description = "An integer from 0 to 2^53 - 1, as a JSON number. Every JSON parser keeps it exactly.";
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

internal sealed class ErrorCodeType() : WireEnumType<ErrorCode>("The error codes, the same for the hub, REST and GraphQL.", constantCase: false);
