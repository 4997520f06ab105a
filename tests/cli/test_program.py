"""How commands end: one sentence, an exit code, and no traceback."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from jobsim.cli import stats
from jobsim.cli.program import ExitCode, exit_code, invoked_as
from jobsim.core.errors import (
    ConfigError,
    NotFound,
    StorageBusy,
    StorageError,
    StorageForeign,
)

Cli = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = {
    "apsw",
    "joblib",
    "matplotlib",
    "numpy",
    "pandas",
    "psycopg",
    "pydantic",
    "scipy",
    "simpy",
    "tomlkit",
}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 1),
        (ValueError("x"), 1),
        (NotFound("x"), 3),
        (StorageError("x"), 4),
        (StorageBusy("x"), 4),
        (StorageForeign("x"), 4),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    """Callers can tell what went wrong by the exit code."""
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("the value is wrong"), "jobsim: the value is wrong\n"),
        (PermissionError(13, "Permission denied", "x.toml"), "jobsim: x.toml: Permission denied\n"),
        (OSError(28, "No space left on device"), "jobsim: No space left on device\n"),
    ],
)
def test_an_error_is_one_sentence_on_stderr(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    """What a user can cause is told in one sentence, and stdout stays empty."""
    monkeypatch.setattr(stats, "open_database", _raiser(error))
    result = cli("stats", "--url", "sqlite:///x.db")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


def test_an_unexpected_error_says_how_to_see_more(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is one sentence, too, and says how to get the traceback."""
    monkeypatch.setattr(stats, "open_database", _raiser(RuntimeError("boom")))
    result = cli("stats", "--url", "sqlite:///x.db")
    assert result.exit_code == ExitCode.ERROR
    assert result.stderr == (
        "jobsim: unexpected error: RuntimeError: boom; set JOBSIM_DEBUG=1 to see where it came from\n"
    )


def test_debug_shows_the_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --debug, or its variable, the traceback is there."""
    monkeypatch.setattr(stats, "open_database", _raiser(RuntimeError("boom")))
    for result in (
        cli("--debug", "stats", "--url", "sqlite:///x.db"),
        cli("stats", "--url", "sqlite:///x.db", JOBSIM_DEBUG="1"),
    ):
        assert "Traceback" in result.stderr
        assert "in fail" in result.stderr
        assert result.exit_code == ExitCode.ERROR


def _raiser(error: Exception) -> Callable[[str], None]:
    def fail(_url: str) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["compar"], "No such command 'compar'. Did you mean 'compare'?"),
        (["stats", "--jsn"], "No such option: --jsn"),
        (["stats"], "Missing option '--url'"),
        (["prune", "--url", "x", "--older-than", "1d"], "Choose from pending, running"),
        (["enqueue", "app:queue"], "Missing argument 'KIND'"),
        (["worker", "app:queue", "--lease", "60"], "'60' has no unit; write for example '60s'"),
        (["worker", "app:queue", "--poll=-1s"], "a duration cannot be negative"),
        (["worker", "app:queue", "-c", "0"], "'JOBSIM_CONCURRENCY'): must be at least 1"),
        (["worker", "app:queue", "-q", "a,,b"], "write names with commas between them"),
        (["worker", "app:queue", "--log-level", "loud"], "loud"),
        (["jobs", "list", "--url", "x", "--state", "ded"], "'JOBSIM_STATE'): 'ded' is not one of 'pending'"),
        (["jobs", "show", "17", "--url", "x"], "'17' is not a job id"),
        (["enqueue", "app:queue", "k", "{"], "is not JSON"),
        (["enqueue", "app:queue", "k", "[1]"], "must be a JSON object"),
        (["enqueue", "app:queue", "k", '{"a": NaN}'], "NaN is no JSON number"),
        (["enqueue", "app:queue", "k", "[" * 100_000], "nested too deeply"),
        (["enqueue", "app:queue", "k", "--in", "soon"], "is not a duration"),
        (["compare", "s.toml", "-n", "0"], "must be at least 1"),
        (["compare", "s.toml", "-n", "x"], "must be a valid integer\n"),
        (["compare", "s.toml", "--n-jobs", "0"], "not 0"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_help(cli: Cli, line: list[str], said: str) -> None:
    """A command line that cannot be meant says what is wrong and where its help is."""
    result = cli(*line)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith("jobsim: ")
    assert said in result.stderr
    assert "--help'." in result.stderr.splitlines()[-1]
    assert result.stdout == ""


@pytest.mark.parametrize("line", [[], ["jobs"], ["dlq"]])
def test_a_group_alone_shows_its_help(cli: Cli, line: list[str]) -> None:
    """Asking for nothing shows what there is."""
    result = cli(*line)
    assert "Commands" in result.output or "A live queue" in result.output
    assert result.exit_code == ExitCode.USAGE


def test_every_option_has_an_environment_variable(cli: Cli) -> None:
    """An option can be given by its variable, and a wrong one is named."""
    result = cli("worker", "app:queue", JOBSIM_LEASE="sixty")
    assert result.exit_code == ExitCode.USAGE
    assert "--lease" in result.stderr
    assert "JOBSIM_LEASE" in result.stderr


def test_help_shows_the_names_of_tables(cli: Cli) -> None:
    """A table of a scenario keeps its brackets in a help text; they are no markup."""
    assert "[expect]" in cli("validate", "--help").stdout


def test_help_imports_nothing_heavy(root: Path) -> None:
    """Help answers at once: no tables, no plots, no simulation, no database driver."""
    code = (
        "import sys\nfrom jobsim.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, timeout=60
    )
    assert HEAVY & set(done.stderr.split()) == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_an_error(scenario: Path, root: Path) -> None:
    """A full disk behind stdout is one sentence and exit code 1."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobsim", "validate", str(scenario)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=root,
            timeout=60,
        )
    assert done.returncode == ExitCode.ERROR
    assert done.stderr == "jobsim: No space left on device\n"


@pytest.mark.parametrize("words", ["validate" + 50 * " SCENARIO", "--help", "worker --help"])
def test_a_closed_pipe_ends_quietly(words: str, scenario: Path, root: Path) -> None:
    """When the reader has gone there is no error and nothing on stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jobsim", *words.replace("SCENARIO", str(scenario)).split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == ExitCode.OK
    process.stderr.close()


def test_version_and_module_entry(shell: Shell) -> None:
    """``python -m jobsim --version`` names the program on stdout."""
    done = shell("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("jobsim")
    assert done.stderr == ""


def test_no_color_is_honoured(cli: Cli) -> None:
    """With NO_COLOR there are no colours even where a terminal is claimed."""
    terminal = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert "\x1b[1;3" in cli("--help", **terminal).stdout
    assert "\x1b[1;3" not in cli("--help", NO_COLOR="1", **terminal).stdout


def test_commands_to_copy_name_the_program_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was found on PATH goes by its name, any other by its path."""
    monkeypatch.setattr(sys, "argv", ["/opt/bin/jobsim"])
    monkeypatch.setattr("shutil.which", lambda _name: "/opt/bin/jobsim")
    assert invoked_as() == "jobsim"
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert invoked_as() == "/opt/bin/jobsim"
    monkeypatch.setattr(sys, "argv", ["/some/where/jobsim/__main__.py"])
    assert invoked_as().endswith(" -m jobsim")
