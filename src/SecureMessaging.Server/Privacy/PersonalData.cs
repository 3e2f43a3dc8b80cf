using System.Text.Json;

namespace SecureMessaging.Server.Privacy;

/// <summary>What <see cref="PersonalDataStore"/> writes, for the OpenAPI document: it is never in memory as one.</summary>
/// <param name="AsOf">When it was read.</param>
/// <param name="Tables">The account's rows of each table, each with its columns by name; <c>/.well-known/data-inventory</c> says what they are for and how long they stay.</param>
internal sealed record PersonalData(DateTime AsOf, IReadOnlyDictionary<string, IReadOnlyList<IReadOnlyDictionary<string, JsonElement>>> Tables);
