using SecureMessaging.Protocol;

namespace SecureMessaging.Server.Platform.Http;

/// <summary>
/// The errors of a handler beyond those that follow from its route (authentication, body, path parameters, policy). Tests fail on an undocumented
/// response.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class RefusesAttribute(params ErrorCode[] codes) : Attribute
{
    public IReadOnlyList<ErrorCode> Codes { get; } = codes;
}

/// <summary>A header of the handler's response with this status.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ReplyHeaderAttribute(string status, string name, string description, string example) : Attribute
{
    public string Status { get; } = status;

    public string Name { get; } = name;

    public string Description { get; } = description;

    public string Example { get; } = example;
}
