"""``jobsim limits``, on a database."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import jobsim
from jobsim.core.decide import Settlement
from jobsim.core.time import Instant
from jobsim.testing.conformance_base import ANN, MINUTE, new, retry

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
    none = {"budget": None, "breaker": None, "paused": False}
    listed = cli("limits", "list", "--url", URL, "--json").stdout.splitlines()
    assert [json.loads(line) for line in listed] == [
        {"scope": "kind:send", "running": 5, "per_key": 1, "rate": "100/1m", "burst": 3, **none},
        {"scope": "queue:mail", "running": None, "per_key": None, "rate": "5/1s", "burst": 1, **none},
    ]
    table = cli("limits", "list", "--url", URL).stdout.splitlines()
    assert table[0].split() == ["SCOPE", "RUNNING", "PER", "KEY", "RATE", "BURST", "BUDGET", "BREAKER"]
    assert table[1].split() == ["kind:send", "5", "1", "100/1m", "3"]
    cleared = cli("limits", "clear", "kind:send", "--url", URL)
    assert (cleared.exit_code, cleared.stdout) == (0, "")
    assert "Removed for kind:send: at most 5 running" in cleared.stderr
    again = cli("limits", "clear", "kind:send", "--url", URL)
    assert again.exit_code == 3
    assert "there was no limit for kind:send" in again.stderr
    assert len(cli("limits", "list", "--url", URL, "--json").stdout.splitlines()) == 1


def test_budgets_and_breakers_are_set_by_name_or_by_number(cli: Cli) -> None:
    """They are listed as they are written in Python."""
    line = ["--budget", "grpc", "--breaker", "threshold=0.25,window=10s,min_calls=3"]
    done = cli("limits", "set", "kind:send", "--url", URL, *line)
    assert done.exit_code == 0, done.stderr
    [listed] = map(json.loads, cli("limits", "list", "--url", URL, "--json").stdout.splitlines())
    assert listed["budget"] == repr(jobsim.budgets.grpc)
    assert listed["breaker"] == "Breaker(threshold=0.25, window='10s', min_calls=3)"
    assert "Breaker(threshold=0.25" in done.stderr


def test_open_breaker_is_told_by_stats_and_doctor(cli: Cli) -> None:
    """Who wonders why jobs wait finds it in both."""
    cli("limits", "set", "kind:mail", "--url", URL, "--breaker", "min_calls=1,threshold=1,open_for=100d")
    assert json.loads(cli("stats", "--url", URL, "--json").stdout)["breakers"] == {}
    assert "none is open" in cli("doctor", URL).stdout
    with jobsim.Queue(URL) as queue:
        now = Instant(time.time_ns() // 1_000)  # noqa: TID251  # the commands go by it
        queue.storage.enqueue([new(1, run_at=now)], now)
        [lease] = queue.storage.claim(ANN, ["default"], 1, MINUTE, now)
        queue.storage.settle([Settlement(lease, retry(now))], now)
    told = json.loads(cli("stats", "--url", URL, "--json").stdout)["breakers"]
    assert told["kind:mail"].startswith("open until")
    assert "kind:mail" in cli("stats", "--url", URL).stdout
    doctor = cli("doctor", URL)
    assert doctor.exit_code == 1
    assert "kind:mail is open until" in " ".join(doctor.stdout.split())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["mail", "--running", "1"], "'mail' is neither kind:NAME nor queue:NAME"),
        (["queue:a b", "--running", "1"], "cannot name a queue"),
        (["kind:", "--running", "1"], "cannot name a kind"),
        (["queue:mail"], "give --running, --per-key, --rate, --budget or --breaker; to remove a limit"),
        (["queue:mail", "--running", "0"], "must be at least 1"),
        (["queue:mail", "--rate", "fast"], "'fast' is no rate; write for example 100/1m or 5/s"),
        (["queue:mail", "--rate", "5/fortnight"], "is not a duration"),
        (["queue:mail", "--rate", "0/s"], "starts: must be a whole number, at least 1"),
        (["queue:mail", "--rate", "5/0s"], "per: must be longer than 0s"),
        (["queue:mail", "--rate-burst", "5"], "--rate-burst goes with --rate"),
        (["queue:mail", "--budget", "grcp"], "no budget is called 'grcp' (did you mean 'grpc'?)"),
        (["queue:mail", "--budget", "capcity=3"], "did you mean 'capacity'"),
        (["queue:mail", "--budget", "cost=dear"], "cost: must be a number of tokens"),
        (["queue:mail", "--breaker", "threshold=2"], "threshold: must be a share of attempts"),
    ],
)
def test_a_wrong_limit_is_wrong_usage(cli: Cli, line: list[str], said: str) -> None:
    """What is wrong is said in a sentence, and nothing is put in force."""
    result = cli("limits", "set", *line, "--url", URL)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert cli("limits", "list", "--url", URL, "--json").stdout == ""
