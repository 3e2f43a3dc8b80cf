using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Tests.Platform;

/// <summary><c>tests/run.sh --quick</c> starts no Postgres: it leaves out classes whose names end in OnPostgres and tests with the trait Ring=Full.</summary>
public sealed class QuickRingTests
{
    [Fact]
    public void A_test_class_that_needs_Postgres_is_not_in_the_quick_ring()
    {
        var classes = typeof(QuickRingTests).Assembly.GetTypes().Where(type => type is { IsAbstract: false } && type.GetMethods().Any(IsTest)).ToList();
        Assert.True(classes.Count > 100, $"{classes.Count} test classes");
        var needing = classes.Where(type => type.GetConstructors().SelectMany(constructor => constructor.GetParameters())
            .Any(parameter => parameter.ParameterType == typeof(PostgresServer))).ToList();
        Assert.NotEmpty(needing);
        Assert.Empty(needing.Where(type => !type.Name.EndsWith("OnPostgres", StringComparison.Ordinal) && !HasTrait(type)).Select(type => type.Name));
    }

    private static bool IsTest(System.Reflection.MethodInfo method) => method.IsDefined(typeof(FactAttribute), inherit: true);

    /// <summary>On the class, or on those of its tests that use Postgres.</summary>
    private static bool HasTrait(Type type) => type.GetMethods().Where(IsTest).Cast<System.Reflection.MemberInfo>().Append(type)
        .SelectMany(member => member.GetCustomAttributes(typeof(TraitAttribute), inherit: true).Cast<TraitAttribute>())
        .Any(trait => trait is { Name: "Ring", Value: "Full" });
}
