"""Files from outside, damaged: each is refused in a sentence, or read for what it says."""

from pathlib import Path

import apsw  # noqa: TID251  # it makes what no jobsim has made
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jobsim
from jobsim.cli.program import ExitCode
from jobsim.sim.streaming import record
from tests.fuzz.damage import Accidents, accidents, damaged, examples, told, unchanged

pytestmark = pytest.mark.fuzz

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))

CONFIG = b"""\
url = "sqlite:///none.db"
json = true

[worker]
concurrency = 3
lease = "30s"

[jobs.list]
limit = 7
state = ["failed"]
"""

SMALL = """
name = "small"
horizon = "20s"
compare = ["oban"]
workers = { count = 2, slots = 2, lease = "5s" }
[[jobs]]
kind = "mail"
arrivals = { process = "poisson", rate = "2/s" }
service = { dist = "exponential", mean = "1s" }
failures = [{ model = "independent", probability = 0.3 }]
"""

LOGS = ["log.jsonl", "run.events", "run.csv"]

LOOKS = [
    ["doctor"],
    ["check"],
    ["stats", "--url"],
    ["events", "--after", "0", "--url"],
    ["jobs", "list", "--url"],
    ["dlq", "list", "--url"],
    ["queues", "list", "--url"],
    ["limits", "list", "--url"],
    ["migrate", "--check", "--url"],
]
"""Commands that look at a database, and change nothing."""


@examples(30)
@given(st.sampled_from(SCENARIOS), accidents())
def test_damaged_scenario_is_refused_or_read(here: Path, whole: Path, hit: Accidents) -> None:
    """Whatever happened to a scenario file, what is wrong with it is told with its place."""
    Path("damaged.toml").write_bytes(damaged(whole.read_bytes(), hit))
    with unchanged(here):
        done = told("validate", "damaged.toml")
    assert done.exit_code in {ExitCode.OK, ExitCode.ERROR}
    assert done.exit_code == ExitCode.OK or "damaged.toml" in done.stderr


@examples(30)
@given(accidents())
def test_damaged_configuration_is_refused_or_read(here: Path, hit: Accidents) -> None:
    """A file of options is blamed by its name where it cannot be used."""
    Path("jobsim.toml").write_bytes(damaged(CONFIG, hit))
    try:
        with unchanged(here):
            told("jobs", "list")
            told("--config", "jobsim.toml", "stats")
    finally:
        Path("jobsim.toml").unlink()


@pytest.fixture(scope="module")
def database(here: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database in which all sorts of things have happened."""
    with jobsim.Queue("sqlite:///whole.db") as queue:

        @queue.job(max_attempts=2, retry=jobsim.NoBackoff())
        def work(number: int) -> None:
            if number % 3 == 0:
                raise ValueError(number)

        work.enqueue_many({"number": number} for number in range(40))
        work.enqueue(1, unique_key="one", delay="1h")
        queue.run_worker(burst=True)
        queue.storage.pause("default")
    return (here / "whole.db").rename(tmp_path_factory.mktemp("whole") / "whole.db")


@examples(80)
@given(st.sampled_from(LOOKS), accidents())
def test_damaged_database_is_refused_or_read(
    here: Path, database: Path, look: list[str], hit: Accidents
) -> None:
    """Bytes that changed, pages that are gone: no command that looks at a database fails without a word."""
    Path("jobs.db").write_bytes(damaged(database.read_bytes(), hit))
    try:
        with unchanged(here, "jobs.db", "jobs.db-wal", "jobs.db-shm"):
            told(*look, "sqlite:///jobs.db")
    finally:
        for file in here.glob("jobs.db*"):
            file.unlink()


def foreign() -> dict[str, bytes]:
    """Return files that are databases of others, or none at all."""
    made = {"empty": b"", "text": b"jobs\n" * 99, "zeros": bytes(8192), "header": b"SQLite format 3\0"}
    scripts = {
        "theirs": "CREATE TABLE job (id INTEGER PRIMARY KEY); INSERT INTO job VALUES (1)",
        "ours in name": "CREATE TABLE jobsim_schema (version TEXT); INSERT INTO jobsim_schema VALUES ('x')",
        "newer": "CREATE TABLE jobsim_schema (version INTEGER); INSERT INTO jobsim_schema VALUES (999)",
        "none": "CREATE TABLE jobsim_schema (version INTEGER)",
        "view": "CREATE VIEW jobsim_schema AS SELECT 3 AS version",
        "many": (
            "CREATE VIEW jobsim_schema AS WITH RECURSIVE n(version) AS "
            "(SELECT 1 UNION ALL SELECT version + 1 FROM n LIMIT 100000) SELECT version FROM n"
        ),
        "marked": "PRAGMA application_id = 1785684595",
    }
    for name, script in scripts.items():
        connection = apsw.Connection(":memory:")
        connection.execute(script)
        made[name] = connection.serialize("main")
        connection.close()
    return made


@pytest.mark.parametrize("name", foreign())
@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[2], LOOKS[-1]], ids=" ".join)
def test_foreign_database_is_refused_and_left_alone(here: Path, name: str, look: list[str]) -> None:
    """A file that jobsim has not made is not changed by looking at it, and the error names it."""
    (here / "foreign.db").write_bytes(foreign()[name])
    with unchanged(here):
        done = told(*look, "sqlite:///foreign.db")
    assert done.exit_code in {ExitCode.ERROR, ExitCode.DATABASE}
    assert "foreign.db" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def logs(database: Path) -> Path:
    """Return the directory of whole logs in the forms that are read."""
    place = database.parent
    lines = told("events", "--after", "0", "--json", "--url", f"sqlite:///{database}").stdout
    (place / "log.jsonl").write_text(lines, encoding="utf-8")
    world = jobsim.Scenario.from_text(SMALL)
    record(world, place / "run.events", "oban", 1)
    jobsim.simulate(world, "oban", 1).events.to_csv(place / "run.csv", index=False)
    return place


@examples(60)
@given(st.sampled_from(LOGS), accidents())
def test_damaged_log_is_refused_or_read(here: Path, logs: Path, name: str, hit: Accidents) -> None:
    """A log that was exported and then damaged is judged for what it says, or not taken for a log."""
    Path(name).write_bytes(damaged((logs / name).read_bytes(), hit))
    try:
        with unchanged(here):
            told("check", name)
    finally:
        Path(name).unlink()


@examples(12)
@given(accidents())
def test_damaged_history_is_refused_or_fitted(here: Path, logs: Path, hit: Accidents) -> None:
    """What a simulation learns from a log is told, or what it lacks to learn from."""
    Path("log.jsonl").write_bytes(damaged((logs / "log.jsonl").read_bytes(), hit))
    try:
        with unchanged(here):
            told("fit", "log.jsonl", "--json")
    finally:
        Path("log.jsonl").unlink()
