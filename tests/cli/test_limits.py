"""``jobsim limits``, on a database."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import jobsim

Cli = Callable[..., Result]

URL = "sqlite:///jobs.db"


@pytest.fixture(autouse=True)
def _database(here: Path) -> None:  # noqa: ARG001  # it is the current directory
    """Make an empty database in the current directory."""
    with jobsim.Queue(URL) as queue:
        queue.storage.counts()


def test_limits_are_set_listed_and_cleared(cli: Cli) -> None:
    """What is set is in force, in the place of what was; what is cleared is not."""
    assert cli("limits", "set", "kind:send", "--url", URL, "--running", "9").exit_code == 0
    line = ["set", "kind:send", "--running", "5", "--per-key", "1", "--rate", "100/1m", "--rate-burst", "3"]
    done = cli("limits", *line, "--url", URL)
    assert done.exit_code == 0, done.stderr
    assert "In force for kind:send: at most 5 running; at most 1 a key running;" in done.stderr
    cli("limits", "set", "queue:mail", "--url", URL, "--rate", "5/s")
    listed = cli("limits", "list", "--url", URL, "--json").stdout.splitlines()
    assert [json.loads(line) for line in listed] == [
        {"scope": "kind:send", "running": 5, "per_key": 1, "rate": "100/1m", "burst": 3},
        {"scope": "queue:mail", "running": None, "per_key": None, "rate": "5/1s", "burst": 1},
    ]
    table = cli("limits", "list", "--url", URL).stdout.splitlines()
    assert table[0].split() == ["SCOPE", "RUNNING", "PER", "KEY", "RATE", "BURST"]
    assert table[1].split() == ["kind:send", "5", "1", "100/1m", "3"]
    cleared = cli("limits", "clear", "kind:send", "--url", URL)
    assert (cleared.exit_code, cleared.stdout) == (0, "")
    assert "Removed for kind:send: at most 5 running" in cleared.stderr
    again = cli("limits", "clear", "kind:send", "--url", URL)
    assert again.exit_code == 3
    assert "there was no limit for kind:send" in again.stderr
    assert len(cli("limits", "list", "--url", URL, "--json").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["mail", "--running", "1"], "'mail' is neither kind:NAME nor queue:NAME"),
        (["queue:a b", "--running", "1"], "cannot name a queue"),
        (["kind:", "--running", "1"], "cannot name a kind"),
        (["queue:mail"], "give --running, --per-key or --rate; to remove a limit: limits clear"),
        (["queue:mail", "--running", "0"], "must be at least 1"),
        (["queue:mail", "--rate", "fast"], "'fast' is no rate; write for example 100/1m or 5/s"),
        (["queue:mail", "--rate", "5/fortnight"], "is not a duration"),
        (["queue:mail", "--rate", "0/s"], "starts: must be a whole number, at least 1"),
        (["queue:mail", "--rate", "5/0s"], "per: must be longer than 0s"),
        (["queue:mail", "--rate-burst", "5"], "--rate-burst goes with --rate"),
    ],
)
def test_a_wrong_limit_is_wrong_usage(cli: Cli, line: list[str], said: str) -> None:
    """What is wrong is said in a sentence, and nothing is put in force."""
    result = cli("limits", "set", *line, "--url", URL)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert cli("limits", "list", "--url", URL, "--json").stdout == ""
