using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.GraphQL;

/// <summary>An enum of the contract. Its <c>Unknown</c> is for readers alone, so the schema does not offer it.</summary>
internal abstract class WireEnumType<T> : EnumerationGraphType
    where T : struct, Enum
{
    protected WireEnumType(string description, bool constantCase = true)
    {
        (Name, Description) = (typeof(T).Name, description + " Later versions may add values: treat one that you do not know as not supported, and go on.");
        foreach (var value in WireEnums.Known<T>())
            Add(constantCase ? value.ToString().ToConstantCase() : value.ToString(), value);
    }
}
