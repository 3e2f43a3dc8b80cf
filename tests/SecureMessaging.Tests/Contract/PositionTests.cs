using System.Reflection;
using System.Text.Json.Nodes;
using GraphQL;
using GraphQL.Types;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using SecureMessaging.Protocol;
using SecureMessaging.Tests.GraphQL;
using SecureMessaging.Tests.Harness;
using SecureMessaging.Tests.Rest;

namespace SecureMessaging.Tests.Contract;

/// <summary>Each door rejects seqs and epochs out of range before any arithmetic. Reflection finds the fields.</summary>
public abstract class PositionTests(TestServer server)
{
    private static readonly long[] OutOfRange = [-1, long.MinValue, 1L << 53, long.MaxValue];

    [Fact]
    public async Task REST_rejects_each_position_by_name()
    {
        await using var anna = await server.SignUpAsync();
        var refused = 0;
        foreach (var operation in await DocumentedRequest.ReadAsync(server))
        {
            foreach (var value in OutOfRange)
            {
                foreach (var name in operation.ParametersIn("path").Where(operation.IsWholeNumber))
                {
                    using var response = await operation.SendAsync(anna.Http, null, parameter: (name, $"{value}"));
                    Assert.Equal(name, (await response.ReadErrorAsync(400, ErrorCode.Invalid)).Errors!.Single().Parameter);
                    refused++;
                }

                foreach (var name in operation.ParametersIn("query").Where(operation.IsWholeNumber).Where(name => name != "limit"))
                {
                    foreach (var rest in new[] { "", "&beforeSeq=5", "&afterSeq=0" }.Where(rest => !rest.Contains(name, StringComparison.Ordinal)))
                    {
                        using var response = await operation.SendAsync(anna.Http, null, $"?{name}={value}{rest}");
                        Assert.Equal(name, (await response.ReadErrorAsync(400, ErrorCode.Invalid)).Errors!.Single().Parameter);
                        refused++;
                    }
                }

                foreach (var (pointer, _, _) in operation.Members().Where(member => IsPosition(member.Pointer.Split('/')[^1])))
                {
                    var body = operation.Example!.DeepClone();
                    (body is JsonArray array ? array[0]! : body)[pointer.Split('/')[^1]] = value;
                    using var response = await operation.SendAsync(anna.Http, body.ToJsonString());
                    if (body is JsonArray)
                        Assert.Equal(ErrorCode.Invalid, (await response.ReadAsync<SendResult[]>())[0].Error!.Code);
                    else
                        Assert.Equal($"#{pointer}", (await response.ReadErrorAsync(400, ErrorCode.Invalid)).Errors!.Single().Pointer);
                    refused++;
                }
            }
        }

        Assert.True(refused >= 40, $"{refused}");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_hub_rejects_each_position_by_name(bool messagePack)
    {
        await using var anna = await server.SignUpAsync();
        var hub = (await anna.ConnectAsync(messagePack)).Hub;
        var refused = 0;
        foreach (var method in typeof(IChatHub).GetMethods())
        {
            foreach (var parameter in method.GetParameters())
            {
                foreach (var value in OutOfRange)
                {
                    if (parameter.ParameterType == typeof(long))
                        Assert.Equal(parameter.Name, (await RefusalAsync(hub, method, parameter, value)).Errors!.Single().Parameter);
                    else if (parameter.ParameterType == typeof(SendRequest))
                        Assert.Equal("#/epoch", (await RefusalAsync(hub, method, parameter, NewSend() with { Epoch = value })).Errors!.Single().Pointer);
                    else if (parameter.ParameterType == typeof(SendRequest[]))
                        Assert.Equal("#/epoch",
                            (await hub.InvokeAsync<SendResult[]>(method.Name, new[] { NewSend() with { Epoch = value } }))[0].Error!.Errors!.Single().Pointer);
                    else
                        continue;
                    refused++;
                }
            }
        }

        Assert.True(refused >= 20, $"{refused}");
    }

    [Fact]
    public async Task GraphQL_positions_have_the_type_that_rejects_it()
    {
        await using var anna = await server.SignUpAsync();
        var schema = server.Services.GetRequiredService<ISchema>();
        schema.Initialize();
        var arguments = schema.AllTypes.OfType<IObjectGraphType>().SelectMany(type => type.Fields).SelectMany(field => field.Arguments ?? [])
            .Select(argument => (argument.Name, argument.ResolvedType));
        var inputs = schema.AllTypes.OfType<IInputObjectGraphType>().SelectMany(type => type.Fields).Select(field => (field.Name, field.ResolvedType));
        var positions = arguments.Concat(inputs).Where(given => IsPosition(given.Name)).ToList();
        Assert.True(positions.Count >= 8, $"{positions.Count}");
        Assert.All(positions, position => Assert.Equal("Long", position.ResolvedType!.GetNamedType().Name));
        foreach (var value in OutOfRange)
        {
            var reply = await anna.Http.ReplyAsync(
                "mutation($room: ID!, $seq: Long!) { markDelivered(roomId: $room, seq: $seq) }", new { room = Guid.NewGuid(), seq = value });
            Assert.Equal(ErrorCode.Invalid, GraphQLCalls.CodeOf(reply));
            Assert.Equal("#/seq", reply.GetProperty("errors")[0].GetProperty("extensions").GetProperty("errors")[0].GetProperty("pointer").GetString());
            Assert.Equal(ErrorCode.Invalid, await anna.Http.RefusalAsync($"mutation {{ markDelivered(roomId: \"{Guid.NewGuid()}\", seq: {value}) }}"));
        }

        foreach (var cursor in OutOfRange.Where(value => value > 0))
        {
            var room = await anna.CreateRoomAsync([]);
            Assert.Equal(ErrorCode.Invalid, await anna.Http.RefusalAsync($"{{ room(id: \"{room.Id}\") {{ log(after: \"{cursor}\") {{ headSeq }} }} }}"));
        }
    }

    private static SendRequest NewSend() => new(Guid.NewGuid(), Guid.NewGuid(), [1]);

    private static bool IsPosition(string name) => name is "seq" or "epoch" || name.EndsWith("Seq", StringComparison.Ordinal)
        || name.EndsWith("Epoch", StringComparison.Ordinal);

    private static async Task<ErrorBody> RefusalAsync(HubConnection hub, MethodInfo method, ParameterInfo broken, object value)
    {
        object?[] arguments = [.. method.GetParameters().Select(parameter => parameter == broken ? value
            : parameter.ParameterType == typeof(Guid) ? Guid.NewGuid() : parameter.ParameterType == typeof(long) ? 1L : (object)1)];
        var exception = await Assert.ThrowsAsync<HubException>(() => hub.InvokeCoreAsync(method.Name, arguments));
        var error = Assert.IsType<HubError>(HubError.From(exception)).Body;
        Assert.Equal(ErrorCode.Invalid, error.Code);
        return error;
    }
}

public sealed class PositionTestsOnSqlite(SqliteServer server) : PositionTests(server);

public sealed class PositionTestsOnPostgres(PostgresServer server) : PositionTests(server);
