"""What went wrong with other queues, told by their bug trackers, and the tests that hold the rule here."""

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

CROWDS: Final = "tests/stories/test_crowds_and_clocks.py"
LOST: Final = "tests/stories/test_lost_workers.py"

STORIES: Final = {
    "a job that ended while it was being rescued went back to its retries (River 1302)": (
        f"{LOST}::test_job_that_ends_while_it_is_being_rescued_stays_ended",
        "tests/worker/test_reaper.py::test_reaper_that_comes_too_late_is_refused",
        "jobsim/testing/conformance_lease.py::test_expired_job_can_be_brought_back_once",
    ),
    "a page of jobs that are never rescued starved all behind it (River 1318)": (
        "tests/worker/test_reaper.py::test_reaper_goes_on_past_what_is_refused",
        "jobsim/testing/conformance_lease.py::test_expired_pages_pass_what_was_not_settled",
    ),
    "a worker taken for dead ended its job, and freed its place twice (Solid Queue 589)": (
        f"{LOST}::test_worker_that_stood_still_changes_nothing_of_its_successor",
        "jobsim/testing/conformance_limits.py::test_a_refused_settlement_frees_nothing",
    ),
    "jobs of dead processes failed without a retry (Solid Queue 422)": (
        f"{LOST}::test_job_of_a_dead_worker_follows_the_retry_policy",
        "tests/core/test_decide.py::test_decide_retries_a_lost_worker_whatever_errors_are_listed",
    ),
    "a job that took long was rescued from the living (hexpm 1825)": (
        f"{LOST}::test_long_job_runs_once_as_long_as_its_worker_lives",
        "tests/worker/test_heartbeat.py::test_heartbeat_leaves_young_leases_alone",
    ),
    "heartbeats came as seldom as their timeout (PgQueuer 430)": (
        f"{LOST}::test_renewals_that_are_slow_or_fail_now_and_then_keep_the_lease",
        "tests/worker/test_heartbeat.py::test_heartbeat_renews_at_a_third_of_the_lease",
    ),
    "a handler that blocked the event loop stopped the heartbeat in it (Dramatiq 692)": (
        "tests/live/test_worker.py::test_a_handler_that_blocks_keeps_its_lease",
    ),
    "an orphan counted against the limit that kept it from being taken back (PgQueuer 475)": (
        f"{LOST}::test_orphan_in_the_last_place_is_brought_back",
        "jobsim/testing/conformance_limits.py::test_the_place_of_a_lost_worker_is_free_once_its_lease_is_settled",
    ),
    "two who claimed at once passed a limit of one (PgQueuer 761)": (
        "jobsim/testing/conformance_limits.py::test_many_claimers_never_share_the_last_place",
        "tests/storage/test_postgres_limits.py::test_two_who_claim_at_once_share_the_places",
    ),
    "a worker that came back under its name made its old jobs look alive (Procrastinate 1518)": (
        f"{LOST}::test_worker_that_returns_under_its_name_does_not_keep_its_old_jobs",
        "tests/live/test_worker.py::test_every_worker_has_a_name_of_its_own",
    ),
    "a retry met a taken key, and the job was stuck for ever (Procrastinate 1446)": (
        "jobsim/testing/conformance_unique.py::test_a_replaced_job_never_waits_again",
        "jobsim/testing/conformance_unique.py::test_a_replaced_job_that_is_lost_is_cancelled",
    ),
    "one bad row blocked a batch, and with it all queues (Oban 1416)": (
        "jobsim/testing/conformance_settle.py::test_answers_come_in_the_order_of_the_batch",
        "jobsim/testing/conformance_unique.py::test_requeue_of_a_taken_key_is_refused",
        "jobsim/testing/conformance_settle.py::test_error_that_is_not_unicode_stops_nothing",
    ),
    "a job that kills its workers was delivered without end (Celery 9082)": (
        f"{LOST}::test_job_that_kills_its_workers_ends_as_a_dead_letter",
        "tests/live/test_processes.py::test_a_job_that_kills_its_workers_ends_as_a_dead_letter",
    ),
    "a reaper gave attempts back, so that they never ended (haiku.rag 470)": (
        "tests/worker/test_reaper.py::test_reaper_never_lowers_attempts",
        f"{LOST}::test_job_that_kills_its_workers_ends_as_a_dead_letter",
    ),
    "fencing tokens began anew, and a worker of old passed (semaprax 192)": (
        f"{CROWDS}::test_tokens_grow_over_a_job_s_whole_life",
        "jobsim/testing/conformance_settle.py::test_stale_token_is_refused",
    ),
    "a claim that changed nothing was worked on all the same (DBOS 742)": (
        f"{LOST}::test_job_that_was_rescued_by_another_is_not_rescued_again",
        "tests/worker/test_desk.py::test_late_settlement_after_a_lost_lease_is_refused",
        "tests/worker/test_heartbeat.py::test_heartbeat_abandons_an_attempt_whose_lease_is_lost",
        "jobsim/testing/conformance_claim.py::test_claims_of_many_threads_share_the_jobs",
    ),
    "a move in two transactions lost what was between them (Huey 915)": (
        "tests/crash/test_crash_points.py::test_worker_killed_at_any_storage_call_loses_nothing",
        "tests/storage/test_sqlite_faults.py::test_call_is_whole_or_not_at_all",
        "tests/storage/test_postgres_faults.py::test_server_that_was_killed_has_kept_what_it_acknowledged",
    ),
    "a job due after more than a lease was delivered many times (kombu 337)": (
        f"{CROWDS}::test_job_for_a_far_day_runs_once",
    ),
    "a signal between claim and work lost the job (RQ 2236)": (
        f"{LOST}::test_stop_at_any_moment_loses_nothing",
        "tests/live/test_worker.py::test_stop_in_the_moment_of_a_claim_holds_nothing",
        "tests/live/test_processes.py::test_a_second_signal_gives_attempts_back",
    ),
    "dead letters beyond ten thousand were dropped in silence (Sidekiq 6827)": (
        f"{CROWDS}::test_no_dead_letter_is_dropped",
    ),
    "one path read the wall clock where all others had a test's (River 1322)": (
        f"{CROWDS}::test_all_times_are_of_the_clock_that_was_handed_in",
        "jobsim/testing/conformance_claim.py::test_claim_goes_by_the_clock_it_is_told",
    ),
    "a claim of one took forty by another plan (queue_classic 320)": (
        "tests/storage/test_postgres_sharing.py::test_claims_of_many_sessions_take_each_job_once",
        "jobsim/testing/conformance_claim.py::test_claim_takes_no_more_than_asked_for",
    ),
    "a read that became a write was busy at once (codeigniter4 queue 86)": (
        "tests/storage/test_sqlite_processes.py::test_processes_share_the_jobs",
        "tests/storage/test_sqlite_processes.py::test_processes_that_write_at_once_wait_for_each_other",
    ),
    "a batch that failed together came back together (Sidekiq 480)": (
        f"{CROWDS}::test_jitter_keeps_a_batch_that_failed_together_apart",
        f"{CROWDS}::test_without_jitter_a_batch_fails_together_again",
    ),
    "jitter pushed a delay over its cap, or cut what was asked for (Sidekiq 5324)": (
        "tests/core/test_backoff.py::test_backoff_never_passes_its_cap",
        "tests/core/test_decide.py::test_decide_never_shortens_a_retry_after",
    ),
    "a clock that was set back had a periodic job twice (oban-py 0.6.2)": (
        f"{CROWDS}::test_clock_that_is_set_back_has_no_tick_twice",
        "tests/worker/test_schedule.py::test_schedule_neither_doubles_nor_skips_when_the_clock_is_set",
        "tests/storage/test_postgres_live.py::test_leases_hold_between_machines_whose_clocks_differ",
    ),
    "a payload that nobody could read went round in a loop (River 1324)": (
        f"{CROWDS}::test_job_that_nobody_can_read_ends_as_a_dead_letter",
        "tests/live/test_executor.py::test_an_unknown_kind_fails_and_names_the_one_meant",
    ),
    "a library of SQLite lost commits as it reset its log (libsql 2271)": (
        "tests/storage/test_sqlite_library.py::test_the_library_that_ships_is_mended",
    ),
    "jobs waited for a notification that was lost (Oban 1037)": (
        f"{CROWDS}::test_polling_alone_finds_every_job",
        "tests/storage/test_postgres_live.py::test_worker_finds_what_another_process_enqueues",
    ),
    "what was given up kept its place and blocked the queue (DBOS 158)": (
        f"{CROWDS}::test_dead_letter_frees_its_place_and_its_key",
        "jobsim/testing/conformance_unique.py::test_a_job_that_ended_holds_nothing",
    ),
}
"""In the order in which they were collected: what happened where, and which tests say that it does not."""


def test_all_thirty_stories_are_there() -> None:
    """None is left out, and each names at least one test."""
    assert len(STORIES) == 30
    assert all(STORIES.values())


@pytest.mark.parametrize("story", STORIES)
def test_story_is_held_by_tests_that_exist(story: str) -> None:
    """Each is a function of that name in that file."""
    for name in STORIES[story]:
        path, _, function = name.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        found = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        assert function in found, name


def test_every_story_told_here_is_in_the_table() -> None:
    """A test of this directory that holds no rule of a story belongs elsewhere."""
    named = {name for names in STORIES.values() for name in names}
    for path in (CROWDS, LOST):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert {f"{path}::{test}" for test in tests if test.startswith("test_")} <= named
