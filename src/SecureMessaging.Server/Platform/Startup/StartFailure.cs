using System.Reflection;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace SecureMessaging.Server.Platform.Startup;

/// <summary>Describes a failed start in one sentence: an operator needs the cause and the setting, not a stack trace.</summary>
internal static class StartFailure
{
    public static string Describe(Exception exception)
    {
        // Reflection, tasks and static constructors wrap the cause in an exception with a useless message.
        while (exception is TargetInvocationException or AggregateException or TypeInitializationException && exception.InnerException is { } cause)
            exception = cause;
        var sentence = exception switch
        {
            StartException or ApiException => exception.Message,
            OptionsValidationException invalid => string.Join(' ', invalid.Failures),
            IOException { InnerException: AddressInUseException } =>
                $"The server cannot start: {exception.Message} Stop the program that listens there, or choose another address, "
                + "such as --urls=http://127.0.0.1:5090.",
            InvalidDataException => $"{exception.Message} {exception.GetBaseException().Message}",
            _ => $"The server cannot start: {exception.Message}",
        };
        return sentence.ReplaceLineEndings(" ");
    }
}
