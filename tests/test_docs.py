"""What the documentation shows is true: its code runs, its tables and links are right."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot as plt
from typer.main import get_command

import jobsim
from jobsim import Scenario
from jobsim.cli.app import app
from jobsim.cli.config import Config
from jobsim.models import Server, StorageModel, Workers

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
TARGET = re.compile(r"\]\(([^)#:]+)\)")

WORLD = """
name = "small"
horizon = "1s"
workers = { count = 1, slots = 1 }

[[jobs]]
kind = "a"
arrivals = { process = "poisson", rate = "1/s" }
service = { dist = "constant", value = "1s" }

"""

MODULES = ("howto-frameworks.md", "howto-test-your-handlers.md")
"""Pages of modules: `tests/test_frameworks.py` and `tests/test_pytest_plugin.py` run them."""

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def blocks(page: Path, language: str) -> list[str]:
    """Return the code of `page` in one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty current directory with the scenarios in it; pictures are closed afterwards."""
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")


def run(page: Path) -> dict[str, Any]:
    """Run the Python of a page, with fewer replications, and return its names."""
    code = "\n".join(blocks(page, "python")).replace("replications=10", "replications=3")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, str(page), "exec", dont_inherit=True), names)
    return names


@page
@pytest.mark.usefixtures("here")
def test_python_of_a_page_runs(page: Path) -> None:
    """All of it, in order, in one namespace; and so do the tests that it shows."""
    for name, value in (run(page) if page.name not in MODULES else {}).items():
        if name.startswith("test_"):
            value()


def test_readme_shows_a_worker_that_works(here: Path) -> None:
    """The app and the commands of the README can be copied as they are."""
    app = next(code for code in blocks(README, "python") if code.startswith("# app.py"))
    (here / "app.py").write_text(app, encoding="utf-8")
    commands = blocks(README, "sh")[1].replace("jobsim ", f"{shlex.quote(sys.executable)} -m jobsim ")
    done = subprocess.run(
        ["sh", "-euc", commands],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "charge order 42 once" in done.stdout
    assert "succeeded" in done.stdout


def test_readme_names_targets_that_make_has() -> None:
    """`make demo` and `make test` are there, and the demo compares the scenario that the README shows."""
    for line in blocks(README, "sh")[0].splitlines():
        command = ["make", "-n", *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "demo" not in command or "scenarios/payment-api-outage.toml" in done.stdout


@page
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Each relative link and picture is a file of the repository."""
    for target in TARGET.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@page
def test_tests_that_a_page_names_exist(page: Path) -> None:
    """Each `path::name` is a test of that file."""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8")):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"


def test_tables_of_policies_are_the_codes() -> None:
    """They are what `make docs` would write."""
    script = runpy.run_path(str(ROOT / "docs" / "policy_tables.py"))
    text = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    assert script["with_tables"](text, script["TABLES"]) == text
    assert all(f"| `{name}` |" in text for name in jobsim.policies.PRESETS)


def test_tables_of_models_are_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what `make docs` would write, and their examples make models."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "model_tables.py"))
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert script["with_tables"](text, script["TABLES"]) == text
    for key, name in (("arrivals", "ARRIVALS"), ("service", "SERVICE"), ("failures.0", "FAILURES")):
        scenario = Scenario.from_text(WORLD + 'failures = [{ model = "permanent" }]\n')
        for line in script[name].strip().splitlines():
            written = tomllib.loads(f"written = {{ {line} }}")["written"]
            if not {"file", "trace"} & written.keys():
                scenario.with_(**{f"jobs.a.{key}": written})


def test_table_of_measures_is_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what `make docs` would write."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "measure_table.py"))
    text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    assert script["with_tables"](text, script["TABLES"]) == text


def test_toml_of_a_model_is_its_python() -> None:
    """The kind of job in the file format is equal to the one made in Python."""
    page = ROOT / "docs" / "models.md"
    names: dict[str, Any] = {}
    exec(blocks(page, "python")[0], names)
    assert Scenario.from_text(WORLD + blocks(page, "toml")[0]).jobs[1] == names["charge"]


def test_toml_of_dependencies_is_what_a_scenario_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is read, and says all of a server but its errors; the examples are read, too."""
    block = blocks(ROOT / "docs" / "models.md", "toml")[1]
    head, jobs, rest = WORLD.partition("[[jobs]]")
    scenario = Scenario.from_text(f"{head}{block}{jobs}{rest}")
    [server] = scenario.dependencies
    assert server.model_fields_set == set(Server.model_fields) - {"timeout_error", "full_error"}
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "model_tables.py"))
    lines = script["DEPENDENCIES"].strip().splitlines()
    written = [tomllib.loads(f"written = {{ {line} }}")["written"] for line in lines]
    assert len(scenario.with_(dependencies=written).dependencies) == len(lines)


def test_toml_of_workers_and_the_store_is_what_a_scenario_takes() -> None:
    """Each table is read, and says all that there is to say."""
    _, _, workers, storage = blocks(ROOT / "docs" / "models.md", "toml")
    whole = "\n".join(line for line in WORLD.splitlines() if not line.startswith("workers"))
    head, jobs, rest = whole.partition("[[jobs]]")
    scenario = Scenario.from_text(f"{head}{workers}{storage}{jobs}{rest}")
    assert scenario.workers.model_fields_set >= set(Workers.model_fields) - {"poll"}
    assert scenario.storage is not None
    assert scenario.storage.model_fields_set == set(StorageModel.model_fields)


def test_toml_of_expectations_is_what_a_scenario_takes() -> None:
    """The table of the page on the lab is read, one expectation a line."""
    [table] = blocks(ROOT / "docs" / "lab.md", "toml")
    assert len(Scenario.from_text(WORLD + table).expect) == len(table.splitlines()) - 1


def test_toml_of_options_is_what_commands_take(tmp_path: Path) -> None:
    """The file of the page on operating is read, and every key in it is used."""
    [text] = blocks(ROOT / "docs" / "operating.md", "toml")
    file = tmp_path / "jobsim.toml"
    file.write_text(text, encoding="utf-8")
    config = Config.of(file, get_command(app))
    assert config is not None
    assert config.defaults["worker"]["shutdown_timeout"] == "60s"
    assert len(set(config.keys.values())) == text.count(" = ")


def test_toml_of_a_policy_is_its_python() -> None:
    """The table in the file format makes an equal policy."""
    page = ROOT / "docs" / "policies.md"
    names: dict[str, Any] = {}
    exec(blocks(page, "python")[0], names)
    [table] = blocks(page, "toml")
    assert Scenario.from_text(WORLD + table).policies["mine"] == names["policy"]
