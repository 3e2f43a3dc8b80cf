namespace SecureMessaging.Server.Trust;

/// <summary>
/// Whether a list continues the chain of its user: section 7 of <c>SecureMessaging.Protocol/Trust/README.md</c>. Clients decide by the same rules. The
/// server applies them to keep out lists that every client would refuse.
/// </summary>
internal static class DeviceListCheck
{
    private const int MostDevices = 64;

    /// <summary>The first broken rule that needs no list before it: <c>own</c>. Null: none.</summary>
    public static string? OfDevices(DeviceList list) => HasDistinctDevices(list) && list.Devices.All(device => IsOwn(list.User, device)) ? null : "own";

    /// <summary>The first broken rule. Null: the list is the next one. The caller has checked <see cref="OfDevices"/>.</summary>
    public static string? Next(DeviceList list, DeviceList? before)
    {
        if (before is not null && list.User != before.User)
            return "user";
        if (list.Number > SignedObject.MostNumber || list.Number != (before?.Number ?? 0) + 1)
            return "number";
        if (!list.Previous.AsSpan().SequenceEqual(before?.Hash ?? new byte[SignedObject.HashLength]))
            return "previous";
        if (!HasRightIdentity(list, before))
            return "identity";
        if (!list.Devices.All(device => device.Since == (before?.Find(device.Id)?.Since ?? list.Number)))
            return "since";
        if (!IsWhatTheReasonSays(list, before))
            return "reason";
        if (list.Find(list.Signer) is null || (before ?? list).Find(list.Signer) is not { } signer)
            return "signer";
        return IsSigned(list, list.Identity, list.ByIdentity) && IsSigned(list, signer.SignatureKey, list.ByDevice) ? null : "signature";
    }

    private static bool HasDistinctDevices(DeviceList list)
    {
        if (list.Devices.Count is 0 or > MostDevices)
            return false;
        // UUIDs compare by their bytes in network order.
        for (var i = 1; i < list.Devices.Count; i++)
        {
            if (list.Devices[i - 1].Id.ToByteArray(bigEndian: true).AsSpan().SequenceCompareTo(list.Devices[i].Id.ToByteArray(bigEndian: true)) >= 0)
                return false;
        }

        var keys = list.Devices.SelectMany(device => new[] { device.SignatureKey, device.LinkKey }).Select(Convert.ToHexString);
        return keys.Distinct(StringComparer.Ordinal).Count() == 2 * list.Devices.Count;
    }

    private static bool IsOwn(Guid user, ListedDevice device)
    {
        byte[] signed = [.. user.ToByteArray(bigEndian: true), .. device.Id.ToByteArray(bigEndian: true), .. device.SignatureKey, .. device.LinkKey];
        return SignedObject.Verify(device.SignatureKey, "Device", signed, device.Own);
    }

    private static bool HasRightIdentity(DeviceList list, DeviceList? before)
    {
        if (before is null || list.Reason != DeviceListReason.LostOrStolen)
            return list.ByIdentityBefore is null && (before is null || list.Identity.AsSpan().SequenceEqual(before.Identity));
        return !list.Identity.AsSpan().SequenceEqual(before.Identity)
            && list.ByIdentityBefore is not null && IsSigned(list, before.Identity, list.ByIdentityBefore);
    }

    private static bool IsWhatTheReasonSays(DeviceList list, DeviceList? before)
    {
        if (before is null || list.Reason == DeviceListReason.First)
            return before is null && list.Reason == DeviceListReason.First && list.Devices.Count == 1;
        var kept = list.Devices.Count(device => before.Find(device.Id) is not null);
        var rekeyed = list.Devices.Count(device => before.Find(device.Id) is { } old && !old.HasKeysOf(device));
        var (added, removed) = (list.Devices.Count - kept, before.Devices.Count - kept);
        var renamed = list.Username != before.Username;
        return list.Reason switch
        {
            DeviceListReason.Added => added > 0 && removed == 0 && rekeyed == 0 && !renamed,
            DeviceListReason.Revoked => added == 0 && removed > 0 && rekeyed == 0 && !renamed,
            DeviceListReason.LostOrStolen => added == 0 && rekeyed == 0 && !renamed,
            DeviceListReason.NewKeys => added == 0 && removed == 0 && rekeyed == 1 && !renamed,
            DeviceListReason.Name => added == 0 && removed == 0 && rekeyed == 0 && renamed,
            _ => false,
        };
    }

    private static bool IsSigned(DeviceList list, byte[] key, byte[] signature) =>
        SignedObject.Verify(key, nameof(DeviceList), list.Signed, signature);
}
