"""What jobsim promises to whoever runs it among others: docs/security.md, held against the code."""

import ast
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import apsw  # noqa: TID251  # it looks at what SQLite would do
import pytest
from typer.testing import CliRunner

import jobsim
from jobsim.cli.app import app
from jobsim.cli.program import ExitCode
from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.job import JobId, NewJob
from jobsim.core.outcome import ERROR_TEXT_LIMIT, Error
from jobsim.core.time import Instant
from jobsim.live.stores import Address
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.sqlite import SqliteStorage

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "jobsim").rglob("*.py"))

BANNED = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "cloudpickle",
    "dill",
    "jsonpickle",
    "yaml",
    "xmlrpc",
}
"""What turns data into code, or into objects of any class.

joblib hands the runs of a sweep to processes of its own by pickle, through pipes of its own; nothing of that
is read from a file or a store.
"""

CODE = {"eval", "exec", "compile", "__import__"}


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imported(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def called(path: Path) -> Iterator[ast.Call]:
    return (node for node in nodes(path) if isinstance(node, ast.Call))


def test_nothing_reads_code_from_data() -> None:
    """No module imports a format that can make any object, and none evaluates text."""
    found = {
        (path.name, name)
        for path in PACKAGE
        for name in (*imported(path), *(c.func.id for c in called(path) if isinstance(c.func, ast.Name)))
        if name.partition(".")[0] in BANNED or name in CODE
    }
    assert found == set()


def test_modules_are_imported_by_names_that_people_wrote() -> None:
    """A module whose name is worked out is one of ours, one that an operator named, or a handler's own."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE
        for call in called(path)
        if isinstance(call.func, ast.Name)
        and call.func.id == "import_module"
        and not isinstance(call.args[0], (ast.Constant, ast.IfExp))
    }
    ours = {"jobsim/__init__.py", "jobsim/sim/__init__.py", "jobsim/testing/__init__.py"}
    assert found - ours == {"jobsim/cli/target.py", "jobsim/live/child.py"}, (
        "see that no name of a module comes from a store, then add the file here"
    )


def test_sql_is_never_put_together_from_values() -> None:
    """What is executed is a constant, a file of our own, or made of identifiers by psycopg."""
    for path in PACKAGE:
        for call in called(path):
            if isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "executemany"}:
                sql = call.args[0]
                assert not isinstance(sql, (ast.JoinedStr, ast.BinOp)), f"{path}:{call.lineno}"
                if (
                    isinstance(sql, ast.Call)
                    and isinstance(sql.func, ast.Attribute)
                    and sql.func.attr == "format"
                ):
                    filled = {
                        part.func.id
                        for part in sql.args
                        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
                    }
                    assert filled == {"Identifier"}, f"{path}:{call.lineno}"


@pytest.mark.parametrize("schema", ['x"; DROP TABLE job; --', "a b", "", "x" * 64, "é\0"])
def test_a_schema_is_an_identifier_or_refused(schema: str) -> None:
    """The one name that stands in the SQL itself is checked before any server is asked."""
    with pytest.raises(ConfigError, match="schema"):
        PostgresStorage("postgresql://nobody@127.0.0.1:1/none", schema=schema)


SECRET = "hunter2"
URLS = [
    f"postgresql://me:{SECRET}@127.0.0.1:1/jobs?connect_timeout=2&patience=100ms",
    f"postgresql://127.0.0.1:1/jobs?user=me&password={SECRET}&connect_timeout=2&patience=100ms",
    f"postgresql://me:a@{SECRET}@127.0.0.1:1/jobs",
    f"postgresql://me:a/{SECRET}@127.0.0.1:1/jobs",
    f"postgresql://me:a?{SECRET}@127.0.0.1:1/jobs",
    f"postgresql://me:%zz{SECRET}@127.0.0.1:1/jobs",
    f"postgresql://me:{SECRET}@[::1/jobs",
    f"postgresql://me:{SECRET} x@127.0.0.1:1/jobs",
    f"postgresql://me:{SECRET}@127.0.0.1:1/jobs?conections=3",
    f"postgresq://me:{SECRET}@127.0.0.1/jobs",
    f"postgresql:me:{SECRET}@127.0.0.1/jobs",
    f"sqlite://me:{SECRET}@127.0.0.1/jobs.db",
    f"sqlite:///jobs.db?key={SECRET}",
    f"host=127.0.0.1 password={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_password_is_in_no_error_and_no_representation(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with a URL, or with the server it names, what is told does not hold the password."""
    caplog.set_level(logging.DEBUG)
    told = ""
    try:
        address = Address.of(url)
        told = f"{address} {address!r} {jobsim.Queue(url)!r} {jobsim.Queue(url).where!r}"
        with closing(address.open()) as storage:
            told += repr(storage)
    except (ConfigError, StorageError) as error:
        told += f"{error} {error!r}"
    assert told
    assert SECRET not in told + caplog.text


@pytest.mark.live
def test_commands_tell_no_password(tmp_path: Path) -> None:
    """Neither doctor nor an error of the command line shows what JOBSIM_URL holds."""
    for command in (["doctor"], ["stats"]):
        done = subprocess.run(
            [sys.executable, "-m", "jobsim", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "JOBSIM_URL": URLS[0], "JOBSIM_DEBUG": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "127.0.0.1" in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "file"),
    [
        (["stats"], 'ulr = "{url}"\n'),
        (["stats"], 'url = "{url}\n'),
        (["stats"], 'url = {{ a = "{url}" }}\n'),
        (["stats"], 'password = "{url}"\n'),
        (["jobs", "list"], 'url = "x:y"\nstate = "{url}"\n'),
        (["worker", "app:queue"], 'lease = "{url}"\n'),
        (["stats", "--interval", "{url}"], ""),
        (["queues", "pause", "{url}", "--url", "x:y"], ""),
        (["jobs", "show", "{url}", "--url", "x:y"], ""),
        (["{url}"], ""),
        (["--config", "{url}", "stats"], ""),
        (["stats", "--url", "{url} x"], ""),
    ],
)
def test_errors_that_quote_a_file_or_a_command_line_hide_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str], file: str
) -> None:
    """A URL in the wrong place is told without its password: errors get into logs."""
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/jobs"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobsim.toml").write_text(file.format(url=url))
    result = CliRunner().invoke(app, [word.format(url=url) for word in line], env={"JOBSIM_URL": None})
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith("jobsim: ")
    assert SECRET not in result.output


ISOLATED = """\
import jobsim, os, pathlib

queue = jobsim.Queue(os.environ["STORE"])


@queue.job(isolation="process")
def look(password: str) -> None:
    mine = pathlib.Path("/proc/self/cmdline").read_bytes()
    pathlib.Path("seen").write_bytes(mine)
"""


@pytest.mark.live
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
def test_arguments_of_child_processes_hold_no_payload(tmp_path: Path) -> None:
    """Everybody on a machine may see how a process was called; a handler's own is given no data that way."""
    (tmp_path / "app.py").write_text(ISOLATED)
    url = f"sqlite:///{tmp_path}/jobs.db?busy_timeout=7777ms"
    with jobsim.Queue(url) as queue:
        queue.enqueue("look", password=SECRET)
    done = subprocess.run(
        [sys.executable, "-m", "jobsim", "worker", "app:queue", "--burst"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STORE": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = (tmp_path / "seen").read_text()
    assert "jobsim" in seen
    assert SECRET not in seen
    assert "7777" not in seen
    assert SECRET not in done.stdout + done.stderr


def test_logs_tell_of_jobs_without_their_payloads(caplog: pytest.LogCaptureFixture) -> None:
    """At every level, what a handler is given and returns stays out of what jobsim itself logs."""
    queue = jobsim.Queue("sqlite://")

    @queue.job(keep_result=True)
    def give(password: str) -> str:
        return f"{password}-result"

    @queue.job(max_attempts=1)
    def number(password: int) -> None: ...

    @queue.job(max_attempts=1)
    def fail(password: str) -> None:
        raise ValueError(len(password))

    caplog.set_level(logging.DEBUG)
    give.enqueue(SECRET)
    fail.enqueue(SECRET)
    queue.enqueue("unknown", password=SECRET)
    payload = json.dumps({"password": SECRET})
    queue.storage.enqueue([NewJob(JobId(7), "number", Instant(0), payload=payload)], Instant(0))
    queue.run_worker(burst=True)
    queue.close()
    assert caplog.records
    assert SECRET not in caplog.text
    assert SECRET not in "".join(str(vars(record)) for record in caplog.records)


def test_errors_that_are_kept_are_bounded_and_hold_no_traceback() -> None:
    """What a handler raises is kept as its name and at most 8,192 characters of what it says."""
    error = Error.of(ValueError("x" * 100_000))
    assert len(error.message) == ERROR_TEXT_LIMIT == 8_192
    assert "Traceback" not in str(error)


def attack(path: Path, sql: str) -> Any:
    storage = SqliteStorage(path)
    with closing(storage):
        return storage._database.cursor.execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'other.db' AS other",
        "SELECT load_extension('evil')",
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'x'",
        "SELECT readfile('/etc/passwd')",
        "SELECT edit('x')",
    ],
)
def test_sqlite_reaches_no_other_file_and_loads_no_code(tmp_path: Path, sql: str) -> None:
    """Even SQL that an attacker hid in a trigger or a view is kept within the file."""
    with pytest.raises(apsw.Error):
        attack(tmp_path / "jobs.db", sql)
    assert [file.name for file in tmp_path.iterdir()] == ["jobs.db"]
