"""``jobsim prune``, on a database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import jobsim
from jobsim.cli.prune import BATCH
from jobsim.core.job import JobId, NewJob, State
from jobsim.core.time import SECOND, Instant
from jobsim.runtime.live import now

Cli = Callable[..., Result]

URL = "sqlite:///jobs.db"
PRUNE = ("prune", "--url", URL, "--state", "cancelled", "--older-than", "7d")


def fill(old: int, recent: int = 1) -> None:
    """Put cancelled jobs in the database, so many of them long ago, and one that waits."""
    long_ago = Instant(now() - 8 * 86_400 * SECOND)
    with jobsim.Queue(URL) as queue:
        for number, at in ((old, long_ago), (recent, now())):
            jobs = [NewJob(JobId(at + n), "work", at) for n in range(number)]
            queue.storage.cancel(queue.storage.enqueue(jobs, at), at)
        queue.enqueue("work")


def counts() -> dict[State, int]:
    """Return how many jobs are in which of the states that have any."""
    with jobsim.Queue(URL) as queue:
        return {state: number for state, number in queue.storage.counts().items() if number}


@pytest.mark.usefixtures("here")
def test_prune_removes_what_ended_long_ago(cli: Cli) -> None:
    """All batches of it, and nothing else; what was done is said on stderr."""
    fill(old=2 * BATCH + 1)
    done = cli(*PRUNE, "--yes")
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert "Removed: 2,001 jobs." in done.stderr
    assert counts() == {State.CANCELLED: 1, State.PENDING: 1}
    again = cli(*PRUNE, "--yes", "--json")
    assert json.loads(again.stdout) == {"jobs": 0, "removed": True}


@pytest.mark.usefixtures("here")
def test_prune_asks_first(cli: Cli) -> None:
    """Where nobody can be asked, it says how many it would remove, and does nothing; so does a dry run."""
    fill(old=3)
    asked = cli(*PRUNE)
    assert asked.exit_code == 2
    assert "this removes 3 jobs that ended as cancelled more than 7d ago, for good; add --yes" in asked.stderr
    dry = cli(*PRUNE, "--dry-run", "--json")
    assert (dry.exit_code, json.loads(dry.stdout)) == (0, {"jobs": 3, "removed": False})
    assert "Would be removed: 3 jobs." in dry.stderr
    assert counts() == {State.CANCELLED: 4, State.PENDING: 1}


@pytest.mark.live
@pytest.mark.usefixtures("here")
def test_prune_counts_where_jobs_are_now(cli: Cli) -> None:
    """A dead letter that was discarded is cancelled since then, and one that was requeued has not ended."""
    with jobsim.Queue(URL) as queue:

        @queue.job(max_attempts=1)
        def fail() -> None:
            raise ValueError

        discarded, requeued, _ = fail.enqueue_many([{}] * 3)
        queue.run_worker(burst=True)
        queue.storage.cancel([discarded], now())
        queue.storage.requeue([requeued], now())
    for state in ("dead_letter", "cancelled"):
        dry = cli("prune", "--url", URL, "--state", state, "--older-than", "0s", "--dry-run")
        assert "Would be removed: 1 job." in dry.stderr
    done = cli(*PRUNE[:3], "--state", "dead_letter", "--older-than", "0s", "--yes")
    assert "Removed: 1 job." in done.stderr
    assert counts() == {State.PENDING: 1, State.CANCELLED: 1}


@pytest.mark.usefixtures("here")
def test_prune_of_nothing_asks_nothing(cli: Cli) -> None:
    """Where there is nothing to remove, there is nothing to ask."""
    fill(old=0)
    done = cli(*PRUNE)
    assert done.exit_code == 0
    assert "Removed: 0 jobs." in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--state", "running", "--older-than", "7d"], "running jobs have not ended, and are never removed"),
        (
            ["--state", "gone", "--older-than", "7d"],
            "'gone' is no state; give succeeded,",
        ),
        (["--state", "canceled", "--older-than", "7d"], "'canceled' is no state (did you mean 'cancelled'?)"),
        (["--state", "succeeded", "--older-than", "7"], "'7' has no unit; write for example '7s'"),
        (["--state", "succeeded"], "Missing option '--older-than'"),
        (["--older-than", "7d"], "Missing option '--state'"),
    ],
)
@pytest.mark.usefixtures("here")
def test_prune_needs_a_state_and_an_age(cli: Cli, line: list[str], said: str) -> None:
    """Nothing is removed that was not named; what has not ended cannot be."""
    fill(old=3)
    result = cli("prune", "--url", URL, "--yes", *line)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert counts() == {State.CANCELLED: 4, State.PENDING: 1}


@pytest.mark.usefixtures("here")
def test_prune_makes_no_database(cli: Cli) -> None:
    """A misspelt path is told, as by every command that only looks."""
    result = cli(*PRUNE, "--yes")
    assert result.exit_code == 4
    assert not Path("jobs.db").exists()
