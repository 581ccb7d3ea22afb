//! One suite, run on both back ends: each story is one test there.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is not as expected"
)]

#[path = "conformance/apps.rs"]
mod apps;
#[path = "conformance/audit.rs"]
mod audit;
#[path = "conformance/concurrency.rs"]
mod concurrency;
#[path = "conformance/credentials.rs"]
mod credentials;
#[path = "conformance/finding.rs"]
mod finding;
#[path = "conformance/fixture.rs"]
mod fixture;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "conformance/people.rs"]
mod people;
#[path = "conformance/runs.rs"]
mod runs;
#[path = "conformance/shares.rs"]
mod shares;
#[path = "conformance/tenants.rs"]
mod tenants;
#[path = "conformance/usage.rs"]
mod usage;
#[path = "conformance/workflows.rs"]
mod workflows;

macro_rules! conformance {
    ($($module:ident { $($story:ident)* })*) => {
        mod on_sqlite { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let fixture = crate::fixture::Fixture::sqlite();
                crate::$module::$story(&fixture).await;
                fixture.store.close().await;
            }
        )*)* }
        mod on_postgres { $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let fixture = crate::fixture::Fixture::postgres();
                crate::$module::$story(&fixture).await;
                fixture.store.close().await;
            }
        )*)* }
    };
}

conformance! {
    tenants {
        small_values_are_kept
        workspaces_are_found_and_listed
        tokens_are_found_by_their_hash
        replies_are_kept_once
        nodes_live_and_die
        a_closed_store_refuses
    }
    people {
        members_are_found_counted_and_removed
        whoever_left_is_found_by_name_alone
        accounts_change_by_revision
        sessions_are_found_seen_and_ended
        invitations_are_found_by_their_hash
        failures_are_counted_and_forgiven
        attempts_at_once_are_all_counted
    }
    keys {
        generations_are_kept
        a_root_key_changes_for_all_or_none
        servers_say_how_far_they_followed
        replacements_are_noted
        version_keys_are_met_in_order_and_compared
        small_records_are_met_and_compared
        every_signed_row_is_met_and_compared
    }
    credentials {
        credentials_come_back_as_they_were
        a_key_is_unique_in_its_scope
        updates_compare_the_revision
        filters_narrow_the_list
        pages_do_not_shift
        versions_come_and_go
        uses_are_counted
        dependents_are_those_that_name_the_key
    }
    usage {
        uses_are_summed_up_by_day_and_by_workflow
        what_a_member_owns_is_found
        settings_can_be_set_whatever_stands_there
    }
    shares {
        shares_come_back_and_are_replaced
        settings_are_compared_and_set
        a_member_sees_what_is_common_theirs_or_shared
        a_deleted_credential_frees_its_key_and_falls_due
    }
    finding {
        every_filter_finds_what_the_slow_one_finds
        a_deleted_credential_is_not_found_any_more
        the_review_sees_where_values_went_and_for_whom
    }
    workflows {
        workflows_are_found_by_id_and_hook
        updates_move_the_hook
        versions_and_allowlists_are_kept
        deleting_leaves_nothing
    }
    runs {
        a_run_goes_from_birth_to_end
        lists_are_filtered_and_paged
        nobody_else_writes_to_a_run
        a_cancelled_run_stays_cancelled
        a_no_store_run_leaves_nothing_readable
        secrets_go_with_the_run
        runs_are_taken_over
        waiting_runs_become_due
        old_runs_are_found_with_how_they_ended
        a_nul_does_not_stop_a_run
    }
    apps {
        own_apps_come_and_go
    }
    audit {
        chains_hold
        nothing_is_written_without_its_event
        a_rolled_back_event_leaves_no_gap
        the_list_is_filtered
        a_run_and_its_first_use_are_one_commit
        people_are_recorded_by_their_ids
        a_credentials_records_are_numbered
        beginnings_are_cut_and_leave_a_stub
        sinks_have_a_cursor_and_one_feeder
    }
    concurrency {
        many_tasks_write_at_once
        one_failing_job_fails_alone
        collisions_are_run_again
        a_swallowed_error_dooms_the_job
        a_panic_fails_its_job_alone
        many_may_open_at_once
    }
}
