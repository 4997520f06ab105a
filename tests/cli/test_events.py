"""``jobsim events``, on a database."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

import jobsim
from jobsim.runtime.live import now

Cli = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]

URL = "sqlite:///jobs.db"


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the next line that a process writes, which is JSON."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def fill(count: int) -> list[jobsim.JobId]:
    """Enqueue jobs, an event each."""
    with jobsim.Queue(URL) as queue:
        return queue.enqueue_many("work", [{}] * count)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("count", [1, 20, 21, 100])
def test_events_shows_the_last_few(cli: Cli, count: int) -> None:
    """Without a number to begin after, it shows the end of the log."""
    fill(count)
    done = cli("events", "--url", URL)
    assert done.exit_code == 0, done.stderr
    seen = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert seen == list(range(max(1, count - 19), count + 1))


@pytest.mark.usefixtures("here")
def test_events_tells_of_one_job_or_from_a_number_on(cli: Cli) -> None:
    """Those of a job are all of its events; a number leaves out what came before."""
    _, second, third = fill(3)
    with jobsim.Queue(URL) as queue:
        queue.storage.cancel([second], queue.get(second).created, "no need")
    shown = cli("events", "--url", URL, "--job", str(second), "--json").stdout
    of_job = [json.loads(line) for line in shown.splitlines()]
    assert [(row["seq"], row["job"], row["event"]) for row in of_job] == [
        (2, str(second), "enqueue"),
        (4, str(second), "cancel"),
    ]
    assert of_job[1]["error"] == "no need"
    later = cli("events", "--url", URL, "--after", "2")
    assert [line.split()[2] for line in later.stdout.splitlines()] == [str(third), str(second)]


@pytest.mark.usefixtures("here")
def test_events_of_an_unknown_job_are_not_found(cli: Cli) -> None:
    """A job that is not there is an error, not an empty log."""
    fill(1)
    done = cli("events", "--url", URL, "--job", "00000000-0000-7000-8000-000000000000")
    assert done.exit_code == 3
    assert "there is no job" in done.stderr


@pytest.mark.live
@pytest.mark.usefixtures("here")
def test_events_follows_what_happens(start: Start) -> None:
    """It goes on with what other processes do, until it is stopped."""
    fill(1)
    process = start("events", "--url", URL, "--follow", "--interval", "20ms", "--json")
    first = told(process)
    [job] = fill(1)
    second = told(process)
    assert (first["seq"], second["seq"], second["job"]) == (1, 2, str(job))
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.usefixtures("here")
def test_jobs_are_cancelled_after_a_question(cli: Cli) -> None:
    """Where nobody can be asked it says what it would do; what is not there or has ended is told."""
    first, second = fill(2)
    asked = cli("jobs", "cancel", str(first), "--url", URL)
    assert asked.exit_code == 2
    assert "this would cancel 1 job; add --yes" in asked.stderr
    done = cli("jobs", "cancel", str(first), str(first), "--url", URL, "--yes")
    assert (done.exit_code, done.stdout) == (0, f"{first}\n")
    again = cli("jobs", "cancel", str(first), str(second), "--url", URL, "--yes")
    assert (again.exit_code, again.stdout) == (3, f"{second}\n")
    assert f"job {first} is cancelled, and cannot be cancelled" in again.stderr


@pytest.mark.usefixtures("here")
def test_jobs_retry_is_for_dead_letters_and_what_waits(cli: Cli) -> None:
    """A dead letter is pending again, a job that waits is due now; what has ended otherwise is not."""
    with jobsim.Queue(URL) as queue:

        @queue.job(max_attempts=1)
        def fail() -> None:
            raise ValueError("no")

        job, later, over = fail.enqueue(), fail.enqueue(delay="1h"), fail.enqueue(delay="1h")
        queue.storage.cancel([over], now())
        queue.run_worker(burst=True)
    done = cli("jobs", "retry", str(job), str(later), str(over), "--url", URL, "--json")
    assert done.exit_code == 3
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"id": str(job), "requeued": True},
        {"id": str(later), "requeued": True},
    ]
    assert f"job {over} is cancelled, and cannot be retried" in done.stderr
    with jobsim.Queue(URL) as queue:
        queue.job(name="fail")(fail.fn)
        queue.run_worker(burst=True)
        assert queue.get(later).attempt == 1


@pytest.mark.parametrize("command", [["stats", "--watch"], ["events", "--follow"]], ids=" ".join)
@pytest.mark.usefixtures("here")
def test_database_is_not_looked_at_without_a_pause(cli: Cli, command: list[str]) -> None:
    """An interval of nothing is refused as wrong usage."""
    fill(1)
    result = cli(*command, "--url", URL, "--interval", "0s")
    assert result.exit_code == 2
    assert "the shortest is 1ms" in result.stderr


@pytest.mark.live
@pytest.mark.usefixtures("here")
def test_stats_watches_until_stopped(start: Start) -> None:
    """Every so often it shows the counts anew."""
    fill(1)
    process = start("stats", "--url", URL, "--watch", "--interval", "20ms", "--json")
    seen = [told(process)["jobs"]]
    fill(1)
    while seen[-1] < 2:
        seen.append(told(process)["jobs"])
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
