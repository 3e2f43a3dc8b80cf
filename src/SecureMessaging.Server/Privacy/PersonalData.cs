using System.Text.Json;

namespace SecureMessaging.Server.Privacy;

/// <summary>Everything that the server stores about the account. The response is streamed row by row.</summary>
/// <param name="AsOf">When the data was read.</param>
/// <param name="Tables">The account's rows of each table, with the columns by name. <c>/.well-known/data-inventory</c> states their purpose and how long they
/// are kept.</param>
internal sealed record PersonalData(DateTime AsOf, IReadOnlyDictionary<string, IReadOnlyList<IReadOnlyDictionary<string, JsonElement>>> Tables);
