using GraphQL;
using GraphQL.Types;
using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Doors.GraphQL;

/// <summary>An enum of the contract without its <c>Unknown</c>, which only readers use.</summary>
internal abstract class WireEnumType<T> : EnumerationGraphType
    where T : struct, Enum
{
    protected WireEnumType(string description, bool constantCase = true)
    {
        (Name, Description) = (typeof(T).Name, description + " Later versions may add values. Treat an unknown value as not supported, and continue.");
        foreach (var value in WireEnums.Known<T>())
            Add(constantCase ? value.ToString().ToConstantCase() : value.ToString(), value);
    }
}
