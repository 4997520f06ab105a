"""``jobsim queues``, on a database."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import jobsim
from jobsim.core.job import State
from jobsim.core.limits import By, Scope

Cli = Callable[..., Result]

URL = "sqlite:///jobs.db"


@pytest.fixture
def queue(here: Path) -> Iterator[jobsim.Queue]:  # noqa: ARG001  # it is the current directory
    """Return a queue with a database in the current directory."""
    with jobsim.Queue(URL, limits={"mail": jobsim.Limit(running=2)}) as queue:
        queue.job(name="send", queue="mail")(lambda: None)
        queue.storage.counts()
        yield queue


def listed(cli: Cli) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("queues", "list", "--url", URL, "--json").stdout.splitlines()]


def test_queues_are_listed_with_what_waits_there(cli: Cli, queue: jobsim.Queue) -> None:
    """Each queue that has jobs has a line; the age is that of the first that could start."""
    queue.enqueue("send", delay="1h")
    queue.enqueue("other", queue="a")
    first, second = listed(cli)
    assert (first["queue"], first["waiting"], first["paused"]) == ("a", 1, False)
    assert first["oldest_s"] >= 0
    assert (second["queue"], second["waiting"], second["oldest_s"]) == ("mail", 1, None)
    assert second["states"] == {**dict.fromkeys(map(str, State), 0), "pending": 1}
    table = cli("queues", "list", "--url", URL).stdout.splitlines()
    assert [line.split()[0] for line in table] == ["QUEUE", "a", "mail"]


@pytest.mark.live
def test_a_paused_queue_is_left_alone_until_it_is_resumed(cli: Cli, queue: jobsim.Queue) -> None:
    """No worker runs its jobs, neither one that starts, which puts limits in force, nor one that works."""
    job = queue.enqueue("send")
    done = cli("queues", "pause", "mail", "--url", URL)
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "mail is paused: none of its jobs starts before jobsim queues resume mail.\n"
    queue.run_worker(burst=True)
    assert queue.get(job).state is State.PENDING
    assert queue.storage.limits()[Scope(By.QUEUE, "mail")].running == 2
    assert [(line["queue"], line["paused"]) for line in listed(cli)] == [("mail", True)]
    assert cli("queues", "resume", "mail", "--url", URL).stderr == "mail is resumed.\n"
    queue.run_worker(burst=True)
    assert queue.get(job).state is State.SUCCEEDED


@pytest.mark.usefixtures("queue")
def test_pausing_again_changes_nothing_and_says_so(cli: Cli) -> None:
    """To pause twice is no error; to resume what is not paused is not found."""
    assert cli("queues", "pause", "mail", "--url", URL).exit_code == 0
    again = cli("queues", "pause", "mail", "--url", URL)
    assert (again.exit_code, again.stderr) == (0, "mail is paused already.\n")
    assert cli("queues", "resume", "mail", "--url", URL).exit_code == 0
    late = cli("queues", "resume", "mail", "--url", URL)
    assert (late.exit_code, late.stderr) == (3, "jobsim: mail is not paused\n")


@pytest.mark.usefixtures("queue")
def test_a_name_that_no_queue_can_have_is_refused(cli: Cli) -> None:
    """It is mistyped, and pausing it would do nothing."""
    refused = cli("queues", "pause", "a b", "--url", URL)
    assert refused.exit_code == 2
    assert "'a b' cannot name a queue" in refused.stderr


def test_paused_queues_are_shown_where_people_look(cli: Cli, queue: jobsim.Queue) -> None:
    """`stats`, `limits list` and `doctor` tell of them; `doctor` says how to go on where jobs wait."""
    cli("queues", "pause", "mail", "--url", URL)
    assert json.loads(cli("stats", "--url", URL, "--json").stdout)["paused"] == ["mail"]
    assert "mail" in cli("stats", "--url", URL).stdout
    (limit,) = map(json.loads, cli("limits", "list", "--url", URL, "--json").stdout.splitlines())
    assert (limit["scope"], limit["paused"], limit["running"]) == ("queue:mail", True, None)
    assert "mail: paused, and nothing waits there" in cli("doctor", URL, COLUMNS="200").stdout
    queue.enqueue("send")
    told = cli("doctor", URL, COLUMNS="200")
    assert told.exit_code == 1
    assert "mail: paused, and 1 job waits there; to go on: jobsim queues resume NAME" in told.stdout
