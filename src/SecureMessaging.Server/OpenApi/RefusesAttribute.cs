using SecureMessaging.Protocol;

namespace SecureMessaging.Server.OpenApi;

/// <summary>
/// Stands on a handler: the errors of the catalogue that it answers with beyond those that follow from its route (sign-in, a body, path parameters, a policy; see
/// <see cref="OperationDocs"/>). The tests refuse an answer that is not documented.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RefusesAttribute(params ErrorCode[] codes) : Attribute
{
    public IReadOnlyList<ErrorCode> Codes { get; } = codes;
}

/// <summary>Stands on a handler: a header of its answer with this status.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ReplyHeaderAttribute(string status, string name, string description, string example) : Attribute
{
    public string Status { get; } = status;

    public string Name { get; } = name;

    public string Description { get; } = description;

    public string Example { get; } = example;
}
