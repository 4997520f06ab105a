"""``jobsim enqueue``, ``worker``, ``jobs``, ``dlq`` and ``stats``, on a database."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import jobsim
from jobsim.cli.target import load_queue
from jobsim.core.job import State

Cli = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]

APP = "target_app:queue"
URL = "sqlite:///jobs.db"


@pytest.fixture
def app(here: Path, app_text: str) -> Path:
    """Return the current directory, which holds an app with a queue that has no database yet."""
    (here / "target_app.py").write_text(app_text, encoding="utf-8")
    return here


@pytest.fixture
def dead(app: Path, cli: Cli) -> str:
    """Return the id of a dead letter, beside a job that succeeded."""
    assert cli("enqueue", APP, "greet", '{"name": "Ada"}').exit_code == 0
    job = cli("enqueue", APP, "greet", '{"name": "nobody"}').stdout.strip()
    _burst(app)
    return job


def _burst(directory: Path) -> None:
    with jobsim.Queue(f"sqlite:///{directory}/jobs.db") as queue:
        queue.job(name="greet", max_attempts=1)(load_queue(APP).handlers["greet"].fn)
        queue.run_worker(burst=True)


def one(result: Result) -> Any:
    """Return the only line of JSON that a command wrote."""
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    return json.loads(line)


@pytest.mark.usefixtures("app")
def test_enqueue_writes_the_id_alone(cli: Cli) -> None:
    """The id goes to stdout, for a program to take up; the job is there."""
    result = cli(
        "enqueue", APP, "greet", '{"name": "Ada"}', "--priority", "3", "--in", "5m", "--queue", "mail"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    job = one(cli("jobs", "show", result.stdout.strip(), "--url", URL, "--json"))
    assert (job["kind"], job["payload"]) == ("greet", {"name": "Ada"})
    assert (job["priority"], job["queue"], job["max_attempts"]) == (3, "mail", 1)
    assert job["run_at"] > job["created"]


@pytest.mark.usefixtures("app")
def test_enqueue_knows_keys(cli: Cli) -> None:
    """A key that is held is skipped, replaced or refused, as is said; the id written is the holder's."""
    line = ["enqueue", APP, "greet", '{"name": "Ada"}', "--unique-key", "ada", "--limit-key", "a"]
    first = cli(*line).stdout
    assert cli(*line, "--on-conflict", "skip").stdout == first
    refused = cli(*line, "--on-conflict", "raise")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert f"job {first.strip()} holds the unique key 'ada'" in refused.stderr
    second = cli(*line, "--on-conflict", "replace").stdout
    jobs = [one(cli("jobs", "show", job.strip(), "--url", URL, "--json")) for job in (first, second)]
    assert [job["state"] for job in jobs] == ["cancelled", "pending"]
    assert (jobs[1]["unique_key"], jobs[1]["limit_key"], jobs[1]["replaced"]) == ("ada", "a", False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["grete", "{}"], "no handler 'grete' (did you mean 'greet'?); there are: greet"),
        (["greet", "{}"], "'JSON': greet: missing a required argument: 'name'; it takes (name: str)"),
        (["greet", '{"name": 7}'], "greet: argument name: must be a valid string"),
        (["greet", '{"name": "a", "nme": 1}'], "greet: no argument 'nme' (did you mean 'name'?)"),
        (
            ["greet", '{"name": "a"}', "--queue", "a b"],
            "jobsim: Invalid value: queue: 'a b' cannot name a queue",
        ),
        (["greet", '{"name": "a"}', "--priority", "9999999999"], "at most 32 bits"),
        (["greet", '{"name": "a"}', "--unique-key", ""], "unique_key: a key has 1 to 255 characters"),
        (["greet", '{"name": "a"}', "--on-conflict", "raise"], "give that, too"),
        (["greet", '{"name": "a"}', "--unique-key", "a", "--on-conflict", "no"], "'no' is not one of"),
    ],
)
def test_enqueue_refuses_what_a_worker_could_not_run(app: Path, cli: Cli, line: list[str], said: str) -> None:
    """A wrong job is wrong usage, and no database is made for it."""
    result = cli("enqueue", APP, *line)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert list(app.glob("*.db*")) == []


def test_enqueue_refuses_a_queue_in_memory(here: Path, cli: Cli, app_text: str) -> None:
    """A job in the memory of a command that ends at once would be lost."""
    text = app_text.replace("sqlite:///jobs.db", "sqlite://")
    (here / "target_app.py").write_text(text, encoding="utf-8")
    result = cli("enqueue", APP, "greet", '{"name": "Ada"}')
    assert result.exit_code == 2
    assert "in the memory of its own process" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        ["jobs", "list"],
        ["jobs", "show", "01920000-0000-7000-8000-000000000000"],
        ["dlq", "list"],
        ["dlq", "requeue", "--all"],
        ["dlq", "discard", "--all", "--yes"],
        ["stats"],
        ["limits", "list"],
        ["limits", "set", "kind:greet", "--running", "1"],
        ["limits", "clear", "kind:greet"],
    ],
)
@pytest.mark.parametrize("where", [URL, APP])
def test_no_command_that_reads_makes_a_database(app: Path, cli: Cli, line: list[str], where: str) -> None:
    """A misspelt path is one sentence and exit code 4, not a new and empty database."""
    result = cli(*line, "--url", where)
    assert result.exit_code == 4
    assert "jobs.db" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(app.glob("*.db*")) == []


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("sqlite://jobs.db", 2, "write sqlite:///jobs.db"),
        ("sqlite://", 2, "in the memory of its own process"),
        ("postgresql:///jobs?host=/nowhere", 4, "cannot be reached"),
        ("postgresql:///jobs?listen=maybe", 2, "neither on nor off"),
        ("jobs.db", 2, "names no queue"),
        ("sqlite:///target_app.py", 4, "target_app.py"),
    ],
)
@pytest.mark.usefixtures("app")
def test_what_is_no_database_is_told(cli: Cli, where: str, code: int, said: str) -> None:
    """A wrong URL is wrong usage; a file that is no database of ours is an unusable database."""
    result = cli("stats", "--url", where)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("dead")
def test_stats_count_every_state(cli: Cli) -> None:
    """All states are there, empty ones too."""
    counts = one(cli("stats", "--url", URL, "--json"))
    assert counts["jobs"] == 2
    assert counts["states"] == {**dict.fromkeys(map(str, State), 0), "succeeded": 1, "dead_letter": 1}
    assert "dead_letter" in cli("stats", "--app", APP).stdout


@pytest.mark.usefixtures("app")
def test_jobs_are_listed_in_their_order(cli: Cli) -> None:
    """Filters narrow the list, a limit cuts it, and says so on stderr."""
    ids = [cli("enqueue", APP, "greet", '{"name": "a"}', "--queue", queue).stdout.strip() for queue in "aba"]
    lines = cli("jobs", "list", "--url", URL, "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    some = cli("jobs", "list", "--url", URL, "--queue", "a", "--limit", "1", "--json")
    assert one(some)["id"] == ids[0]
    assert "there are more" in some.stderr
    assert cli("jobs", "list", "--url", URL, "--state", "running", "--json").stdout == ""
    table = cli("jobs", "list", "--url", URL).stdout
    assert table.splitlines()[0].split() == ["ID", "STATE", "ATTEMPT", "KIND"]
    assert all(job in table for job in ids)


def test_a_job_is_shown_with_its_attempts_and_history(cli: Cli, dead: str) -> None:
    """Fields, payload, attempts and events: as JSON and for people."""
    job = one(cli("jobs", "show", dead, "--url", URL, "--json"))
    assert (job["state"], job["last_error"]) == ("dead_letter", "ValueError: nobody to greet")
    (attempt,) = job["attempts"]
    assert (attempt["outcome"], attempt["error"]) == ("failed", "ValueError: nobody to greet")
    assert [event["event"] for event in job["events"]] == ["enqueue", "claim", "dead_letter"]
    text = cli("jobs", "show", dead, "--url", URL).stdout
    assert ["SEQ", "AT", "EVENT", "ATTEMPT", "DUE", "IN", "REASON"] in map(str.split, text.splitlines())
    assert max(map(len, text.splitlines())) <= 80
    assert "nobody to greet" in text
    assert "PAYLOAD" in text


@pytest.mark.usefixtures("dead")
def test_a_job_that_is_not_there_exits_3(cli: Cli) -> None:
    """Not found is an exit code of its own."""
    result = cli("jobs", "show", "01920000-0000-7000-8000-000000000000", "--url", URL)
    assert result.exit_code == 3
    assert "there is no job 01920000" in result.stderr


def test_dead_letters_are_requeued_by_id(app: Path, cli: Cli, dead: str) -> None:
    """A requeued dead letter is pending again, and its history is kept; a second time it is none."""
    assert one(cli("dlq", "list", "--url", URL, "--json"))["id"] == dead
    dry = cli("dlq", "requeue", dead, "--url", URL, "--dry-run")
    assert "Would be requeued: 1 dead letter." in dry.stderr
    result = cli("dlq", "requeue", dead, "--url", URL)
    assert (result.exit_code, result.stdout) == (0, f"{dead}\n")
    job = one(cli("jobs", "show", dead, "--url", URL, "--json"))
    assert (job["state"], job["attempt"], job["max_attempts"]) == ("pending", 1, 2)
    again = cli("dlq", "requeue", dead, "--url", URL)
    assert again.exit_code == 3
    assert "is pending, not a dead letter" in again.stderr
    _burst(app)
    assert len(one(cli("dlq", "show", dead, "--url", URL, "--json"))["attempts"]) == 2


def test_dead_letters_are_discarded_all(cli: Cli, dead: str) -> None:
    """Discarding asks first; discarded jobs stay, cancelled."""
    asked = cli("dlq", "discard", "--all", "--url", URL)
    assert asked.exit_code == 2
    assert "add --yes" in asked.stderr
    assert cli("dlq", "discard", "--all", "--kind", "other", "--yes", "--url", URL).stdout == ""
    assert one(cli("dlq", "discard", "--all", "--yes", "--url", URL, "--json")) == {
        "id": dead,
        "discarded": True,
    }
    assert one(cli("jobs", "show", dead, "--url", URL, "--json"))["state"] == "cancelled"
    shown = cli("dlq", "show", dead, "--url", URL)
    assert shown.exit_code == 3
    assert "is cancelled, not a dead letter" in shown.stderr


@pytest.mark.live
@pytest.mark.usefixtures("app")
def test_a_worker_logs_json_for_programs(cli: Cli, shell: Shell) -> None:
    """Every line of it is an object; the end of an attempt has its fields."""
    for name in ("Ada", "nobody"):
        cli("enqueue", APP, "greet", json.dumps({"name": name}))
    done = shell("worker", APP, "--burst", JOBSIM_LOG_FORMAT="json")
    assert done.returncode == 0
    records = [json.loads(line) for line in done.stderr.splitlines()]
    ends = [record for record in records if record.get("event") == "attempt_ended"]
    assert {(r["kind"], r["attempt"], r["decision"]) for r in ends} == {
        ("greet", 1, "succeed"),
        ("greet", 1, "dead_letter"),
    }
    assert all(r["took_s"] >= 0 and r["logger"] == "jobsim.lifecycle" for r in ends)
    assert any("nobody to greet" in record.get("exception", "") for record in records)
    assert records[-1]["message"].endswith("2 attempts, 1 succeeded, 1 failed.")


@pytest.mark.live
@pytest.mark.usefixtures("app")
def test_a_burst_works_off_what_is_due(cli: Cli, shell: Shell) -> None:
    """It says what it works on, runs it, counts it, and ends; all of that on stderr."""
    for name in ("Ada", "nobody"):
        cli("enqueue", APP, "greet", json.dumps({"name": name}))
    done = shell("worker", APP, "--burst", "-c", "3", "--lease", "30s")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "queues: default; 3 jobs at a time; lease 30s" in done.stderr
    assert "greet: none, max_attempts=1" in done.stderr
    assert "ValueError: nobody to greet" in done.stderr
    assert "2 attempts, 1 succeeded, 1 failed." in done.stderr
    assert one(cli("stats", "--url", URL, "--json"))["states"]["dead_letter"] == 1


@pytest.mark.live
@pytest.mark.usefixtures("app")
def test_a_burst_with_nothing_to_do_ends(shell: Shell) -> None:
    """None of its slots waits for a job that will not come."""
    done = shell("worker", APP, "--burst", "-c", "8")
    assert done.returncode == 0
    assert "0 attempts." in done.stderr


@pytest.mark.live
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_idle_worker(app: Path, start: Start, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it in order: exit code 0, and a summary."""
    process = start("worker", APP)
    _wait_until((app / "jobs.db").exists)
    time.sleep(1.0)  # noqa: TID251  # so that it is idle, which cannot be seen from outside
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "0 attempts." in err
    assert "Traceback" not in err


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)  # noqa: TID251  # another process is at it


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import jobsim\nqueue = jobsim.Queue('sqlite:///no/such/jobs.db')\n@queue.job\ndef f(): ...\n",
            "no/such",
        ),
        ("import jobsim\nqueue = jobsim.Queue('sqlite:///jobs.db')\n", "no handlers"),
    ],
)
def test_a_worker_that_cannot_work_says_why(here: Path, cli: Cli, text: str, said: str) -> None:
    """No directory, no handlers: one sentence, and no traceback."""
    (here / "target_app.py").write_text(text, encoding="utf-8")
    result = cli("worker", APP)
    assert result.exit_code in {2, 4}
    assert said in result.stderr
    assert "Traceback" not in result.stderr
