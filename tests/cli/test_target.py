"""``module:queue``: how an app's queue is found, and what is said when it is not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from jobsim.cli.target import AppError, load_queue
from jobsim.core.errors import ConfigError
from jobsim.queue import Queue

Cli = Callable[..., Result]


def write(directory: Path, text: str, name: str = "target_app") -> None:
    """Write a module into `directory`."""
    (directory / f"{name}.py").write_text(text, encoding="utf-8")


def test_a_queue_is_found_in_the_current_directory(here: Path, app_text: str) -> None:
    """The current directory is searched, and the very object is returned."""
    write(here, app_text)
    queue = load_queue("target_app:queue")
    assert isinstance(queue, Queue)
    assert load_queue("target_app:queue") is queue


def test_a_queue_may_sit_in_a_package_or_on_an_object(here: Path, app_text: str) -> None:
    """Dots on both sides of the colon are followed."""
    (here / "target_package").mkdir()
    write(here / "target_package", app_text + "\nclass Config:\n    jobs = queue\n", "tasks")
    assert load_queue("target_package.tasks:Config.jobs") is load_queue("target_package.tasks:queue")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("target_app", "'target_app' names no queue; write module:queue"),
        (":queue", "':queue' names no queue"),
        ("target_app:", "'target_app:' names no queue"),
        ("target_app.py:queue", "write target_app:queue"),
        ("src/target_app.py:queue", "write src.target_app:queue"),
        ("target_ap:queue", "there is no module 'target_ap'"),
        ("target_ap:queue", "did you mean 'target_app'?"),
        ("target_app.sub:queue", "there is no module 'target_app.sub'"),
        ("target_app:queu", "module 'target_app' has no 'queu' (did you mean 'queue'?)"),
        ("target_app:tasks", "did you mean 'queue'?"),
        ("target_app:number", "target_app:number is an int, not a jobsim.Queue; there is target_app:queue"),
        ("target_app:queue.nothing", "has no 'nothing'"),
    ],
)
def test_what_is_not_there_is_named(here: Path, app_text: str, target: str, said: str) -> None:
    """A wrong module, name or object is told apart, with the one that was likely meant."""
    write(here, app_text)
    with pytest.raises(ConfigError) as error:
        load_queue(target)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("import nowhere_to_be_found\n", 1, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = 1\n\ny = 1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("def f(:\n", 1, "SyntaxError: "),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3; keep what runs the program behind if __name__"),
        ("import jobsim\nqueue = jobsim.Queue('nonsense')\n", 2, "nonsense"),
        ("raise ValueError\n", 1, "ValueError"),
    ],
)
def test_a_module_that_raises_shows_cause_and_line(here: Path, text: str, line: int, why: str) -> None:
    """The user's own file and line are named, with the real cause."""
    write(here, text)
    with pytest.raises(AppError) as error:
        load_queue("target_app:queue")
    assert str(error.value).startswith(f"target_app.py:{line}: ")
    assert why in str(error.value)


def test_the_deepest_line_of_the_users_own_is_shown(here: Path) -> None:
    """Where one module of the app imports another that raises, the other is named."""
    write(here, "import target_inner\n")
    write(here, "\n\nraise ValueError('inner')\n", "target_inner")
    with pytest.raises(AppError, match=r"^target_inner\.py:3: .*ValueError: inner"):
        load_queue("target_app:queue")


@pytest.mark.usefixtures("here")
def test_a_missing_target_is_wrong_usage(cli: Cli) -> None:
    """What is not there exits 2 and names the argument."""
    result = cli("worker", "target_nowhere:queue")
    assert result.exit_code == 2
    assert "APP" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_module_that_raises_exits_1(cli: Cli, here: Path) -> None:
    """An error in the user's module is one sentence."""
    write(here, "1 / 0\n")
    result = cli("worker", "target_app:queue")
    assert result.exit_code == 1
    assert result.stderr.startswith("jobsim: target_app.py:1: ")
    assert "Traceback" not in result.stderr
