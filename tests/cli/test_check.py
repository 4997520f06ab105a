"""``jobsim check``, on databases and on logs in all their forms."""

import json
from collections.abc import Callable
from pathlib import Path

import apsw  # noqa: TID251  # it breaks what the store keeps
import psycopg  # noqa: TID251  # so does this
import pytest
from typer.testing import Result

import jobsim
from jobsim.core.job import State
from jobsim.core.time import Instant
from jobsim.sim.streaming import record
from jobsim.storage.postgres import PostgresStorage

Cli = Callable[..., Result]

URL = "sqlite:///jobs.db"


@pytest.fixture
def queue(here: Path, app_text: str) -> Path:
    """Return the directory of a queue with four jobs done, one of them dead, and one that waits."""
    (here / "app.py").write_text(app_text, encoding="utf-8")
    with jobsim.Queue(URL) as queue:

        @queue.job(max_attempts=1)
        def greet(name: str) -> None:
            if name == "nobody":
                raise ValueError("nobody to greet")

        for name in ("Ann", "Bob", "Cid", "nobody"):
            greet.enqueue(name)
        queue.run_worker(burst=True)
        greet.enqueue("Dee", delay="1h")
    return here


def break_jobs(sql: str) -> None:
    """Change what is stored behind jobsim's back."""
    connection = apsw.Connection("jobs.db")
    connection.execute(sql)
    connection.close()


def exported(cli: Cli, name: str = "log.jsonl") -> Path:
    """Return the file to which the log of the queue was exported."""
    path = Path(name)
    path.write_text(cli("events", "--url", URL, "--after", "0", "--json").stdout, encoding="utf-8")
    return path


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("source", [URL, "app:queue"])
def test_sound_database_is_told_in_a_sentence(cli: Cli, source: str) -> None:
    """It says how much it looked at, and exits with 0; for programs, too."""
    done = cli("check", source)
    assert (done.exit_code, done.stdout, done.stderr) == (
        0,
        "Sound: 13 events of 5 jobs, and every rule holds.\n",
        "",
    )
    told = json.loads(cli("check", source, "--json").stdout)
    assert told == {"ok": True, "events": 13, "jobs": 5, "more": False, "broken": []}


@pytest.mark.usefixtures("queue")
def test_exported_log_is_checked_as_the_database_is(cli: Cli) -> None:
    """What ``jobsim events --json`` wrote is whole."""
    done = cli("check", str(exported(cli)))
    assert (done.exit_code, done.stdout) == (0, "Sound: 13 events of 5 jobs, and every rule holds.\n")


@pytest.mark.usefixtures("queue")
def test_job_that_was_changed_behind_the_log_is_shown_with_its_history(cli: Cli) -> None:
    """The first broken rule, the job and each of its events are told, and the exit code is one of its own."""
    break_jobs("UPDATE jobsim_job SET token = 9 WHERE id = 1")
    done = cli("check", URL)
    assert done.exit_code == 5
    first, *history = done.stdout.splitlines()
    assert first.startswith("log_equals_state: job ")
    assert [line.split()[2] for line in history] == ["enqueue", "claim", "succeed"]
    assert "Broken in 13 events of 5 jobs: log_equals_state (1)." in done.stderr
    [broken] = json.loads(cli("check", URL, "--json").stdout)["broken"]
    assert broken["rule"] == "log_equals_state"
    assert [event["event"] for event in broken["history"]] == ["enqueue", "claim", "succeed"]


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "DELETE FROM jobsim_job WHERE id = 1",
            "undamaged: jobsim_event: 3 rows belong to no row of jobsim_job",
        ),
        (
            "PRAGMA ignore_check_constraints = 1; UPDATE jobsim_job SET uuid = x'00' WHERE id = 1",
            "undamaged: jobsim_job: CHECK constraint failed in jobsim_job",
        ),
    ],
    ids=["a job gone without its events", "a broken constraint"],
)
def test_damage_that_the_log_does_not_show_is_found(cli: Cli, sql: str, said: str) -> None:
    """A job that vanished is not taken for one that was pruned, nor what the tables forbid for sound."""
    break_jobs(sql)
    done = cli("check", URL, "--json")
    assert done.exit_code == 5
    assert said in [f"{broken['rule']}: {broken['problem']}" for broken in json.loads(done.stdout)["broken"]]


@pytest.mark.usefixtures("queue")
def test_tables_of_an_application_are_not_judged(cli: Cli) -> None:
    """What it refers to in vain is its own affair."""
    break_jobs("CREATE TABLE orders (job INTEGER REFERENCES jobsim_job); INSERT INTO orders VALUES (99)")
    assert cli("check", URL).exit_code == 0


@pytest.mark.usefixtures("queue")
def test_line_that_was_changed_in_a_log_is_found(cli: Cli) -> None:
    """A token that does not grow breaks a rule, wherever the log comes from."""
    log = exported(cli)
    log.write_text(log.read_text("utf-8").replace('"token": 1', '"token": 0', 1), encoding="utf-8")
    done = cli("check", str(log))
    assert done.exit_code == 5
    assert done.stdout.startswith("token_grows: job ")


@pytest.mark.usefixtures("queue")
def test_drained_asks_that_every_job_has_ended(cli: Cli) -> None:
    """The one that waits is found, and only where it is asked for."""
    done = cli("check", URL, "--drained")
    assert done.exit_code == 5
    assert "still pending after the drain" in done.stdout
    assert cli("check", str(exported(cli)), "--drained").exit_code == 5


@pytest.mark.usefixtures("queue")
def test_pruned_database_is_sound(cli: Cli) -> None:
    """Jobs that were pruned are not missed."""
    with jobsim.Queue(URL) as queue:
        assert queue.storage.prune([State.SUCCEEDED], Instant(2**61), 2) == 2
    assert cli("check", URL).stdout == "Sound: 7 events of 3 jobs, and every rule holds.\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "log.jsonl:14: is no line of JSON: "),
        (
            "[]",
            "log.jsonl:14: is no event: there is no 'seq'; write the log with jobsim events --after 0 --json",
        ),
        ("{}", "log.jsonl:14: is no event: there is no 'seq'"),
        ('{"event": "claim"}', "log.jsonl:14: is no event: there is no 'seq'"),
    ],
)
@pytest.mark.usefixtures("queue")
def test_line_that_cannot_be_read_is_told_with_its_place(cli: Cli, line: str, said: str) -> None:
    """What is no event is an error with file and line, not a broken rule."""
    log = exported(cli)
    log.write_text(log.read_text("utf-8") + line + "\n", encoding="utf-8")
    done = cli("check", str(log))
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("nothing.jsonl", 1, "nothing.jsonl: there is no such file"),
        ("nothing\0.jsonl", 1, r"'nothing\x00.jsonl': no file can be called so"),
        ("\ud800.parquet", 1, r"'\ud800.parquet': no file can be called so"),
        ("sqlite:///nothing.db", 4, "nothing.db"),
        ("jobs.db", 1, "jobs.db: is a SQLite database; name it by its URL, sqlite:///jobs.db"),
        ("mysql://a/b", 2, "names no store"),
    ],
)
@pytest.mark.usefixtures("queue")
def test_source_that_is_not_there_is_an_error(cli: Cli, source: str, code: int, said: str) -> None:
    """A file, a database or a scheme that there is not is told as everywhere."""
    done = cli("check", source)
    assert done.exit_code == code
    assert said in done.stderr


def test_log_of_a_simulation_is_checked(cli: Cli, here: Path, scenario: Path) -> None:
    """A recorded run and tables of one, as CSV, gzip and Parquet, are sound, each with the same events."""
    world = jobsim.Scenario.from_toml(scenario)
    events = record(world, here / "run.events", "full_jitter", 1).events
    table = jobsim.simulate(world, "full_jitter", 1).events
    table.to_csv(here / "run.csv", index=False)
    table.to_csv(here / "run.csv.gz", index=False)
    table.to_parquet(here / "run.parquet", index=False)
    for name in ("run.events", "run.csv", "run.csv.gz", "run.parquet"):
        done = cli("check", str(here / name), "--drained")
        assert done.exit_code == 0, done.stdout
        assert f"{events:,} events" in done.stdout


@pytest.mark.parametrize(("name", "said"), [("run.events", "no end"), ("run.parquet", "cannot be read")])
def test_damaged_file_is_refused(cli: Cli, here: Path, scenario: Path, name: str, said: str) -> None:
    """A file that was cut off is told so, and not judged by what is left of it."""
    world = jobsim.Scenario.from_toml(scenario)
    record(world, here / "run.events", "full_jitter", 1)
    jobsim.simulate(world, "full_jitter", 1).events.to_parquet(here / "run.parquet", index=False)
    path = here / name
    path.write_bytes(path.read_bytes()[:-1])
    done = cli("check", str(path))
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.live
@pytest.mark.usefixtures("here")
def test_database_on_a_server_is_checked(cli: Cli, postgres: str, schema: str) -> None:
    """PostgreSQL is looked at as a file is."""
    store = PostgresStorage(postgres, schema=schema)
    with jobsim.Queue(store) as queue:

        @queue.job
        def work() -> None:
            """Do nothing."""

        work.enqueue()
        queue.run_worker(burst=True)
    url = f"{postgres}{'&' if '?' in postgres else '?'}schema={schema}"
    assert cli("check", url, "--drained").stdout == "Sound: 3 events of 1 job, and every rule holds.\n"
    with psycopg.connect(postgres) as connection:
        for table in ("job", "content"):
            connection.execute(f'DELETE FROM "{schema}".{table}')
    done = cli("check", url)
    assert done.exit_code == 5
    assert "undamaged: event: 3 rows belong to no row of content" in done.stdout
