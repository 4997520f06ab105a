"""``jobsim dlq``: which dead letters are meant."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from jobsim.cli.program import ExitCode
from jobsim.core.decide import Decision, Why
from jobsim.core.job import State
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind
from jobsim.runtime.live import now
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import job_id, settle, start

Cli = Callable[..., Result]

URL = ("--url", "sqlite:///jobs.db")


@pytest.fixture
def letters(here: Path) -> Path:
    """Make three dead letters, of which the last two died a minute ago."""
    store = SqliteStorage(here / "jobs.db")
    minute_ago = Instant(now() - 60 * SECOND)
    for number, error, at in [
        (1, "TimeoutError: slow", Instant(minute_ago - 3600 * SECOND)),
        (2, "TimeoutError: slow", minute_ago),
        (3, "ValueError: no such Card", minute_ago),
    ]:
        lease = start(store, number)
        assert settle(store, lease, Decision(Kind.DEAD_LETTER, Why("failed", "exhausted", error)), at)
    store.close()
    return here


def shown(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.split()


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--error", "timeout"], [1, 2]),
        (["--error", "card"], [3]),
        (["--error", "nothing"], []),
        (["--older-than", "30m"], [1]),
        (["--older-than", "30s"], [1, 2, 3]),
        (["--older-than", "2h"], []),
        (["--error", "Timeout", "--older-than", "30s", "--kind", "mail"], [1, 2]),
        (["--error", "Timeout", "--kind", "other"], []),
    ],
)
def test_dead_letters_are_chosen_by_error_and_age(cli: Cli, options: list[str], numbers: list[int]) -> None:
    """All that is given must fit; listing, requeueing and discarding mean the same ones."""
    wanted = [str(job_id(number)) for number in numbers]
    assert shown(cli("dlq", "requeue", "--all", "--dry-run", *options, *URL)) == wanted
    assert shown(cli("dlq", "discard", "--all", "--dry-run", *options, *URL)) == wanted
    listed = cli("dlq", "list", *options, *URL).stdout
    assert [str(job_id(number)) in listed for number in (1, 2, 3)] == [n in numbers for n in (1, 2, 3)]


def test_chosen_dead_letters_are_discarded_and_no_others(letters: Path, cli: Cli) -> None:
    """What does not fit stays."""
    assert shown(cli("dlq", "discard", "--all", "--error", "slow", "--yes", *URL)) == [
        str(job_id(1)),
        str(job_id(2)),
    ]
    store = SqliteStorage(letters / "jobs.db")
    assert [job.id for job in store.find(states=[State.DEAD_LETTER])] == [job_id(3)]
    store.close()


@pytest.mark.usefixtures("letters")
def test_a_narrowed_list_ends_where_it_should(cli: Cli) -> None:
    """So many that fit are shown, and that there are more is said."""
    result = cli("dlq", "list", "--error", "slow", "--limit", "1", "--json", *URL)
    assert len(result.stdout.splitlines()) == 1
    assert "there are more" in result.stderr
    assert "more" not in cli("dlq", "list", "--error", "slow", "--limit", "2", *URL).stderr


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("option", [["--error", "x"], ["--older-than", "1s"], ["--queue", "q"]])
def test_ids_are_not_narrowed(cli: Cli, option: list[str]) -> None:
    """Who names dead letters means these."""
    result = cli("dlq", "requeue", str(job_id(1)), *option, *URL)
    assert result.exit_code == ExitCode.USAGE
    assert "go with --all, not with ids" in result.stderr


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_error_does_not_mean_all(cli: Cli, text: str) -> None:
    """A variable of a script that is not set gives up no dead letters."""
    result = cli("dlq", "discard", "--all", "--error", text, "--yes", *URL)
    assert result.exit_code == ExitCode.USAGE
    assert "would mean all" in result.stderr
    assert len(shown(cli("dlq", "requeue", "--all", "--dry-run", *URL))) == 3
