namespace SecureMessaging.Tests.Contract;

/// <summary>Which test shows that rows and values of the database live as long as the inventory says.</summary>
public sealed class TimesToLiveTests
{
    private static readonly Dictionary<string, string[]> Shown = new()
    {
        ["while the account lasts"] = ["Erasing_an_account_leaves_no_row_that_names_it", "A_deleted_account_leaves_no_row"],
        ["24 hours after the session's end"] = ["Ended_sessions_and_their_tokens_are_deleted_after_a_day"],
        ["while the session lasts"] = ["Waiting_devices_are_deleted_with_their_session_and_approved_ones_stay"],
        ["while the session lasts, or until taken back or refused by the push service"] =
            ["An_endpoint_is_deleted_with_its_session_and_stored_encrypted", "An_endpoint_that_is_gone_is_deleted_and_a_busy_one_is_retried_later"],
        ["until it expires, until a later one of its session is used, or with its session"] =
            ["A_refresh_token_is_deleted_when_a_later_one_is_used_with_its_session_and_on_expiry"],
        ["until used, 30 seconds at most"] = ["A_ticket_is_valid_for_30_seconds", "Of_many_simultaneous_uses_of_a_ticket_one_succeeds"],
        ["while the room lasts"] = ["No_byte_of_deleted_messages_stays_in_the_files_and_all_others_can_be_read"],
        ["while the room lasts, or until all before it is gone"] = ["A_room_with_purged_entries_reports_where_its_log_begins"],
        ["while the account is in the room"] = ["Only_members_have_settings_of_a_room_and_leaving_deletes_them"],
        ["while the account is in the room, or until the account turns it off"] =
            ["An_account_without_a_delivery_cursor_leaves_none_in_the_database", "Only_members_have_settings_of_a_room_and_leaving_deletes_them"],
        ["while the account is in the room, or until taken back"] = ["Only_members_have_settings_of_a_room_and_leaving_deletes_them"],
        ["the entry's time to live; unlimited where the room sets none"] = ["Expired_entries_are_gone_and_the_rest_is_contiguous"],
        ["as long as the content"] = ["An_entry_whose_content_is_deleted_has_no_time_of_its_sending"],
        ["one to two days longer than the content"] = ["A_gone_entry_loses_its_id_and_owner_proof_after_one_to_two_days"],
        ["a day longer than the room's time to live, or until the account is erased"] = ["Erasing_an_account_leaves_no_row_that_names_it"],
        ["until the process ends, or an hour after it was last seen"] =
            ["Nodes_without_a_common_Redis_report_it_and_follow_each_other_through_the_database"],
        ["while the account has a device"] = ["Erasing_an_account_leaves_no_row_that_names_it"],
        ["until revoked, or not seen for the time that the operator sets (90 days); while it waits for approval, until its session ends"] =
            ["A_device_unseen_for_long_is_revoked_and_old_Welcomes_are_deleted", "Waiting_devices_are_deleted_with_their_session_and_approved_ones_stay"],
        ["until it expires (100 days at most)"] = ["KeyPackages_are_deleted_at_expiry_and_claimed_ones_cannot_be_uploaded_again_before"],
        ["until claimed, or it expires"] = ["KeyPackages_are_deleted_at_expiry_and_claimed_ones_cannot_be_uploaded_again_before"],
        ["until all its devices have fetched it, or the time that the operator sets (90 days)"] =
            ["Simultaneous_acknowledgements_leave_no_Welcome", "A_device_unseen_for_long_is_revoked_and_old_Welcomes_are_deleted"],
        ["until fetched"] = ["Simultaneous_acknowledgements_leave_no_Welcome"],
        ["until the next commit or reset"] = ["Reports_of_more_than_half_of_the_members_reset_the_group_and_the_next_commit_clears_them"],
        ["while the room lasts, or until an account that it names is erased"] = ["Erasing_an_account_leaves_no_row_that_names_it"],
        ["a year"] = ["The_name_of_a_deleted_account_is_reserved_for_a_year"],
        ["until the device confirms that it has it; at the latest as the device"] =
            ["A_large_transfer_waits_for_the_new_device_and_is_deleted_once_it_has_it"],
        ["until it has no effect any more: a day, and one more for each strike, twelve days at most"] =
            ["A_member_that_commits_junk_again_and_again_wins_fewer_and_fewer_epochs"],
        // Replaced in place, or never deleted.
        ["for ever"] = [],
        ["while the row lasts"] = [],
        ["until the next run"] = [],
        ["until the next rewrite"] = [],
    };

    [Fact]
    public void Every_time_to_live_of_a_column_has_a_test()
    {
        Assert.Equal(
            Inventory.Declared.Columns.Values.Select(column => column.TimeToLive).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
            Shown.Keys.Order(StringComparer.Ordinal));
        var tests = typeof(TimesToLiveTests).Assembly.GetTypes().SelectMany(type => type.GetMethods()).Select(method => method.Name).ToHashSet();
        Assert.Subset(tests, Shown.Values.SelectMany(names => names).ToHashSet());
    }
}
