using SecureMessaging.Protocol;
using SecureMessaging.Server.Accounts;
using SecureMessaging.Server.Limiting;
using SecureMessaging.Server.Platform;
using SecureMessaging.Server.Platform.Identity;
using SecureMessaging.Server.Trust;

namespace SecureMessaging.Server.Encryption;

/// <summary>
/// Publishes the signed device lists of accounts, the same for all doors. Clients judge the lists. The server stores each number once and keeps out what no
/// client would accept. Reads are one query of <see cref="DeviceListStore"/>, which doors call directly.
/// </summary>
internal sealed class DeviceListOperations(DeviceRooms rooms, UserStore users, RateLimits rates, ByteQuotas quotas, Limits limits)
{
    /// <summary>A revocation must succeed when the account has published the most lists.</summary>
    private const int ReservedForRevocations = 64;

    public async Task<StoredDeviceList> PublishAsync(Caller caller, PublishDeviceListRequest request, CancellationToken cancellationToken)
    {
        if (request.List.Length > limits.DeviceListBytes)
            throw ApiException.TooLarge("list", limits.DeviceListBytes);
        var list = DeviceList.TryRead(request.List) ?? throw ApiException.Invalid("list must be a DeviceList of version 1.", "list");
        if (list.Number is 0 or > SignedObject.MostNumber)
            throw Broken("number");
        if (list.User != caller.UserId)
            throw ApiException.Invalid("The user in list must be the caller.", "list");
        rates.DeviceLists.Spend(caller.UserId);
        quotas.Spend(caller.UserId, request.List.Length);
        // Outside the transaction, because checking up to 64 signatures takes time.
        if (DeviceListCheck.OfDevices(list) is { } own)
            throw Broken(own);
        var number = (long)list.Number;
        return await rooms.ChangeAsync(
            caller.UserId,
            async transaction =>
            {
                if (await DeviceListStore.FindAsync(transaction, caller.UserId, number, cancellationToken) is { } stored
                    && stored.AsSpan().SequenceEqual(request.List))
                {
                    return (new StoredDeviceList(number), false);
                }

                var newest = await DeviceListStore.FindNewestAsync(transaction, caller.UserId, cancellationToken);
                Require(list, newest);
                var user = await users.LockAsync(transaction, caller.UserId, cancellationToken);
                if (list.Username != user?.Username)
                    throw ApiException.Invalid("The username in list must be the account's.", "list");
                await DeviceListStore.InsertAsync(transaction, caller.UserId, number, request.List, cancellationToken);
                return (new StoredDeviceList(number), true);
            },
            cancellationToken);
    }

    private void Require(DeviceList list, DeviceList? newest)
    {
        switch (DeviceListCheck.Next(list, newest))
        {
            case "number" or "previous":
                var number = (long?)newest?.Number ?? 0;
                throw new ApiException(ErrorCode.Conflict, $"The list does not continue the newest one, which has number {number}.") { CurrentNumber = number };
            case { } rule:
                throw Broken(rule);
        }

        var most = limits.DeviceLists + (list.Reason is DeviceListReason.Revoked or DeviceListReason.LostOrStolen ? ReservedForRevocations : 0);
        if (list.Number > (ulong)most)
            throw ApiException.TooMany($"An account may have at most {most} device lists.", "list");
    }

    private static ApiException Broken(string rule) => ApiException.Invalid($"list breaks the rule {rule} of the format.", "list");
}
