//! What every configuration database must do, run against each implementation. A new one adds a [`bench::Bench`] and a line
//! in `implementations`.

mod bench;
mod changes;
mod proof;
mod property;
mod snapshots;

use bench::Sqlite;

/// Makes one test of every scenario for one implementation.
macro_rules! implementation {
    ($name:ident, $bench:expr, $($module:ident: $($scenario:ident),+;)+) => {
        mod $name {
            use super::*;
            $($(
                #[test]
                fn $scenario() {
                    $module::$scenario(&$bench);
                }
            )+)+
        }
    };
}

implementation! { sqlite, Sqlite::new(),
    changes: an_empty_store_says_so, a_commit_is_gapless_and_survives_reopening, two_editors_cannot_overwrite_each_other,
        rows_that_no_secondary_could_take_are_refused, a_replayed_log_gives_the_same_copy,
        records_that_do_not_fit_change_nothing, generations_continue_only_where_they_began,
        the_log_is_trimmed_by_acknowledgement_age_and_size, audit_lines_are_chained_and_show_no_secret,
        a_backup_is_whole_and_opens;
    snapshots: a_snapshot_under_writes_is_the_state_at_one_lsn, a_snapshot_goes_on_after_both_sides_restarted,
        a_falsified_snapshot_changes_nothing, a_snapshot_replaces_a_copy_past_the_fork;
    proof: a_hand_edit_is_found_and_repaired_from_a_good_copy, a_lone_primary_can_adopt_a_hand_edit;
    property: whatever_is_written_log_rows_and_digests_agree;
}
