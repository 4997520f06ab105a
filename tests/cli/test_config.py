"""Options from a file: below the environment, which is below the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import Result

import jobsim
from jobsim.cli.app import app
from jobsim.cli.program import ExitCode

Cli = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def walk(command: Any) -> Iterator[Any]:
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from walk(each)


def listed(result: Result) -> int:
    assert result.exit_code == 0, result.output
    return len(result.stdout.splitlines())


@pytest.fixture
def jobs(here: Path, app_text: str, cli: Cli) -> Path:
    """Make a database with three jobs, and return its directory."""
    (here / "configured.py").write_text(app_text)
    for name in ("Ada", "Bo", "Cy"):
        assert cli("enqueue", "configured:queue", "greet", json.dumps({"name": name})).exit_code == 0
    return here


def test_every_option_can_be_given_by_the_environment() -> None:
    """Each has a variable of its name; but for those that show something and end, or agree to a deed."""
    options = [
        (command.name, parameter)
        for command in walk(typer.main.get_command(app))
        for parameter in command.params
        if parameter.param_type_name == "option"
    ]
    assert len(options) > 100
    bare = {name for _, option in options for name in option.opts if option.envvar is None}
    shown = {"--version", "--install-completion", "--show-completion"}
    assert bare == {*shown, "--all", "--yes", "-y"}
    for _, option in options:
        long = next(name for name in option.opts if name.startswith("--"))
        if option.envvar is not None:
            assert option.envvar == "JOBSIM_" + long[2:].replace("-", "_").upper()


def test_command_line_goes_before_the_environment_and_that_before_the_file(jobs: Path, cli: Cli) -> None:
    """An option is what the first of them says that says something; the nearest table of the file counts."""
    (jobs / "jobsim.toml").write_text(
        'url = "sqlite:///jobs.db"\nlimit = 3\njson = true\n[jobs]\nlimit = 2\n[jobs.list]\nlimit = 1\n'
    )
    assert listed(cli("jobs", "list")) == 1
    assert json.loads(cli("jobs", "list").stdout)["kind"] == "greet"
    assert listed(cli("jobs", "list", JOBSIM_LIMIT="2")) == 2
    assert listed(cli("jobs", "list", "--limit", "3", JOBSIM_LIMIT="2")) == 3


def test_project_file_has_a_table_for_options(jobs: Path, cli: Cli) -> None:
    """``[tool.jobsim]`` of pyproject.toml is read where there is no jobsim.toml, and only there."""
    (jobs / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert cli("jobs", "list").exit_code == ExitCode.USAGE
    (jobs / "pyproject.toml").write_text('[tool.jobsim]\nurl = "sqlite:///jobs.db"\n[tool.other]\nurl = 1\n')
    assert listed(cli("jobs", "list", "--json")) == 3
    (jobs / "jobsim.toml").write_text('url = "sqlite:///none.db"\n')
    assert "no database" in cli("jobs", "list").stderr


def test_file_can_be_named(jobs: Path, cli: Cli) -> None:
    """``--config``, or its variable, names the file; one that is not there is refused."""
    (jobs / "other.toml").write_text('url = "sqlite:///jobs.db"\n')
    assert listed(cli("--config", "other.toml", "jobs", "list", "--json")) == 3
    assert listed(cli("jobs", "list", "--json", JOBSIM_CONFIG="other.toml")) == 3
    result = cli("--config", "othr.toml", "stats")
    assert result.exit_code == ExitCode.USAGE
    assert "othr.toml: there is no such file (did you mean 'other.toml'?)" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[worker]\nconcurency = 4\n",
            "jobsim.toml:2: worker.concurency: unknown key (did you mean 'concurr",
        ),
        ("[wroker]\nlease = '1m'\n", "jobsim.toml:1: wroker: unknown key (did you mean 'worker'?)"),
        ("[jobs.lst]\nlimit = 1\n", "jobsim.toml:1: jobs.lst: unknown key (did you mean 'list'?)"),
        ("[worker]\nurl = 'x'\n", "jobsim.toml:2: worker.url: unknown key"),
        ("\nurl = true\n", "jobsim.toml:2: url: must not be true or false"),
        ("[worker]\nburst = 'yes'\n", "jobsim.toml:2: worker.burst: must be true or false"),
        ("worker = 1\n", "jobsim.toml:1: worker: must be a table"),
        ("[worker.lease]\na = 1\n", "jobsim.toml:1: worker.lease: must be a value, not a table"),
        ("[worker]\nqueues = [[1]]\n", "jobsim.toml:2: worker.queues: must be a list of values"),
        ("url = \n", "jobsim.toml:1:7: not TOML"),
        ("url = ['a:b', 'c:d']\n", "jobsim.toml:1: url: must be one value, not a list"),
        ("config = 'x'\n", "jobsim.toml:1: config: is for the command line alone"),
        ("[dlq]\nyes = true\n", "jobsim.toml:2: dlq.yes: is for the command line alone"),
        ("[dlq.discard]\nall = true\n", "jobsim.toml:2: dlq.discard.all: is for the command line alone"),
    ],
)
def test_file_that_cannot_be_meant_is_refused(here: Path, cli: Cli, text: str, said: str) -> None:
    """Whatever the command is, a wrong key is named with its line before anything runs."""
    (here / "jobsim.toml").write_text(text)
    result = cli("stats", "--url", "sqlite:///jobs.db")
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("worker --help", "jobsim worker [OPTIONS]"),
        ("worker app:queue -c 2 -h", "jobsim worker [OPTIONS]"),
        ("dlq discard --all --help", "jobsim dlq discard [OPTIONS]"),
        ("dlq --help", "jobsim dlq [OPTIONS]"),
        ("--help", "jobsim [OPTIONS]"),
        ("--config nowhere.toml stats --help", "jobsim stats [OPTIONS]"),
    ],
)
def test_help_is_shown_beside_a_file_that_cannot_be_used(here: Path, cli: Cli, line: str, shown: str) -> None:
    """Help of any command; what is asked for beside it on the same line is not done."""
    (here / "jobsim.toml").write_text("url = \n")
    result = cli(*line.split())
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Usage: {shown}" in result.stdout


def test_doctor_tells_of_a_file_that_cannot_be_used(jobs: Path, cli: Cli) -> None:
    """It is one finding among the others, with the line to mend."""
    (jobs / "jobsim.toml").write_text("[worker]\nlese = '1m'\n")
    result = cli("doctor", "sqlite:///jobs.db", "--json")
    assert result.exit_code == ExitCode.ERROR
    found = {each["about"]: (each["ok"], each["seen"]) for each in json.loads(result.stdout)["findings"]}
    well, said = found["configuration"]
    assert not well
    assert said.startswith("jobsim.toml:2: worker.lese: unknown key (did you mean 'lease'?)")
    assert found["database"] == (True, "sqlite:///jobs.db")


def test_consent_is_of_the_command_line_alone(jobs: Path, cli: Cli) -> None:
    """A variable that some shell once set neither means all dead letters nor agrees to give them up."""
    (jobs / "jobsim.toml").write_text('url = "sqlite:///jobs.db"\n')
    [job] = cli("jobs", "list", "--limit", "1", "--json").stdout.splitlines()
    for line in ("dlq requeue", "dlq discard", f"jobs cancel {json.loads(job)['id']}"):
        result = cli(*line.split(), JOBSIM_ALL="1", JOBSIM_YES="1")
        assert result.exit_code == ExitCode.USAGE, line
    old = ("prune", "--state", "cancelled", "--older-than", "0s")
    assert cli("jobs", "cancel", json.loads(job)["id"], "--yes").exit_code == 0
    assert "add --yes" in cli(*old, JOBSIM_YES="1").stderr
    assert "nothing reads JOBSIM_YES" in " ".join(cli("doctor", COLUMNS="200", JOBSIM_YES="1").stdout.split())


def test_option_goes_by_each_of_its_long_names(jobs: Path, cli: Cli) -> None:
    """--url and --app are one option: the nearer table's is taken, and the first name of two in one."""
    (jobs / "jobsim.toml").write_text("app = 'configured:queue'\n")
    assert listed(cli("jobs", "list", "--json")) == 3
    assert "sqlite:///jobs.db" in cli("doctor").stdout
    assert cli("check").exit_code == 0
    (jobs / "jobsim.toml").write_text("url = 'sqlite:///none.db'\n[jobs]\napp = 'configured:queue'\n")
    assert listed(cli("jobs", "list", "--json")) == 3
    assert "none.db" in cli("stats").stderr
    (jobs / "jobsim.toml").write_text("app = 'none:queue'\nurl = 'sqlite:///jobs.db'\n")
    assert listed(cli("jobs", "list", "--json")) == 3


def test_value_that_cannot_be_used_is_told_with_its_line(here: Path, cli: Cli) -> None:
    """What an option refuses is told with where it stands; where it is given elsewhere, that is not."""
    (here / "jobsim.toml").write_text('[worker]\nconcurrency = 2\nlease = "soon"\n')
    result = cli("worker", "app:queue")
    assert result.stderr.startswith("jobsim: jobsim.toml:3: ")
    assert "'soon' is not a duration" in result.stderr
    assert "jobsim.toml" not in cli("worker", "app:queue", "--lease", "later").stderr
    (here / "jobsim.toml").write_text("[worker]\nlease = 60\n")
    assert "jobsim.toml:2: Invalid value" in cli("worker", "app:queue").stderr


@pytest.mark.live
def test_worker_runs_by_the_file_alone(jobs: Path, shell: Shell) -> None:
    """The app, how many at a time, the queues and flags can all be there; lists are as good as commas."""
    (jobs / "jobsim.toml").write_text(
        '[worker]\napp = "configured:queue"\nconcurrency = 3\nqueues = ["default", "mail"]\n'
        'burst = true\nshutdown_timeout = "5s"\n'
    )
    done = shell("worker")
    assert done.returncode == 0, done.stderr
    assert "queues: default, mail; 3 jobs at a time" in done.stderr
    assert "3 attempts" in done.stderr


def test_doctor_tells_where_options_come_from(jobs: Path, cli: Cli) -> None:
    """The keys of the file with their lines, the variables that are set, and those that nobody reads."""
    (jobs / "jobsim.toml").write_text('url = "sqlite:///jobs.db"\n[worker]\nlease = "1m"\n')
    result = cli("doctor", "--json", JOBSIM_LEASE="2m", JOBSIM_CONCURENCY="8", JOBSIM_PLACE="1")
    assert result.exit_code == ExitCode.ERROR
    found = [(each["about"], each["ok"], each["seen"]) for each in json.loads(result.stdout)["findings"]]
    assert ("configuration", True, "jobsim.toml:1 url; jobsim.toml:3 worker.lease") in found
    assert ("environment", True, "JOBSIM_LEASE") in found
    nobodys = "nothing reads JOBSIM_CONCURENCY (did you mean 'JOBSIM_CONCURRENCY'?)"
    assert ("environment", False, nobodys) in found
    assert ("database", True, "sqlite:///jobs.db") in found


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell_name: str, root: Path, tmp_path: Path) -> None:
    """What typer writes for a shell completes commands, options, their choices, and the names of queues."""

    def completed(words: str) -> str:
        line = {
            "bash": {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)},
            "zsh": {"_TYPER_COMPLETE_ARGS": words},
            "fish": {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        }[shell_name]
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; sys.argv[0] = 'jobsim'; from jobsim.cli import *; main()",
            ],
            env={**os.environ, **line, "_JOBSIM_COMPLETE": f"complete_{shell_name}", "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    assert "requeue" in completed("jobsim dlq re")
    assert "--concurrency" in completed("jobsim worker --conc")
    assert "dead_letter" in completed("jobsim jobs list --state d")
    assert "cancelled" in completed("jobsim prune --state c")
    assert "running" not in completed("jobsim prune --state r")
    queue = jobsim.Queue(f"sqlite:///{tmp_path}/jobs.db")
    queue.enqueue("work", queue="mail")
    queue.close()
    assert "mail" in completed(f"jobsim jobs list --url sqlite:///{tmp_path}/jobs.db --queue m")
    assert "mail" not in completed(f"jobsim jobs list --url sqlite:///{tmp_path}/none.db --queue m")
