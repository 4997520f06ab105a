"""What the documentation shows is true: its code runs, its tables and links are right."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from matplotlib import pyplot as plt
from typer.main import get_command

import jobsim
from jobsim import Scenario, State
from jobsim.cli.app import app
from jobsim.cli.config import Config, variables
from jobsim.core.time import SECOND, duration
from jobsim.models import Server, StorageModel, Workers
from jobsim.sim.schema import scenario_schema
from jobsim.worker.settings import WorkerSettings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "index.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [
    *(
        ROOT / name
        for name in ("ARCHITECTURE.md", "CHANGELOG.md", "benchmarks/README.md", "notebooks/README.md")
    ),
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
]
"""Pages of the site that show no code to be run."""

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\(([^):]+)\)")
FENCED = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)

WORLD = """
name = "small"
horizon = "1s"
workers = { count = 1, slots = 1 }

[[jobs]]
kind = "a"
arrivals = { process = "poisson", rate = "1/s" }
service = { dist = "constant", value = "1s" }

"""

MODULES = ("howto-frameworks.md", "howto-test-your-handlers.md", "tutorial-crash-suite.md")
"""Pages of modules: `tests/test_frameworks.py`, `tests/test_pytest_plugin.py` and a test below run them."""

SHELL = re.compile(r"^jobsim ", re.MULTILINE)

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def blocks(page: Path, language: str) -> list[str]:
    """Return the code of `page` in one language, as it stands within a list, too."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [dedent(code) for _, code in found]


def written(folder: Path, codes: Iterable[str]) -> None:
    """Write those that begin with the name of a file into it."""
    for code in codes:
        name = re.match(r"# (\w+\.py)\n", code)
        if name is not None:
            (folder / name[1]).write_text(code, encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of `page`, as code hosts and the site make them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that `page` refers to by a relative link, each with its anchor."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    for target in LINK.findall(FENCED.sub("", text)):
        file, _, anchor = target.partition("#")
        yield (page.parent / file if file else page).resolve(), anchor


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


def shell(here: Path, page: Path, commands: str) -> str:
    """Run `commands` beside the modules that `page` shows, and return what they wrote."""
    written(here, blocks(page, "python"))
    done = subprocess.run(
        ["sh", "-euc", SHELL.sub(f"{shlex.quote(sys.executable)} -m jobsim ", commands)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_shows_a_worker_that_works(here: Path) -> None:
    """The app and the commands of the README can be copied as they are."""
    said = shell(here, README, blocks(README, "sh")[1])
    assert "charge order 42 once" in said
    assert "succeeded" in said


@pytest.mark.parametrize(
    "page", [page for page in PAGES[1:] if blocks(page, "sh")], ids=lambda path: path.name
)
def test_commands_of_a_page_run(page: Path, here: Path) -> None:
    """All that are no session on a terminal, in order, in one directory."""
    assert shell(here, page, "\n".join(blocks(page, "sh")))


@pytest.mark.parametrize("mended", [False, True])
def test_tutorial_shows_a_crash_suite_that_works(here: Path, *, mended: bool) -> None:
    """It fails at the points that the page names, and passes once the handler is mended."""
    page = ROOT / "docs" / "tutorial-crash-suite.md"
    written(here, blocks(page, "python")[2 * mended : 2 * mended + 2])
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:jobsim", "-p", "jobsim.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_shop.py"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{here}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    failed = re.findall(r"^SUBFAILED.*$", done.stdout, re.MULTILINE)
    assert failed == ([] if mended else blocks(page, "text")[0].splitlines()), done.stdout
    assert done.returncode == (0 if mended else 1)


def test_readme_names_targets_that_make_has() -> None:
    """`make demo` and `make test` are there, and the demo compares the scenario that the README shows."""
    for line in blocks(README, "sh")[0].splitlines():
        command = ["make", "-n", *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "demo" not in command or "scenarios/payment-api-outage.toml" in done.stdout


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda path: path.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Each relative link and picture is a file of the repository, and its anchor a heading there."""
    for target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), f"{target.name}#{anchor}"


def test_every_page_is_reached_from_the_index() -> None:
    """By links alone: who reads them in the repository has no other way."""
    reached, ahead = {INDEX}, [INDEX]
    while ahead:
        new = {target for target, _ in links(ahead.pop()) if target.suffix in (".md", ".ipynb")} - reached
        reached |= new
        ahead += new
    assert {*PAGES[1:], *OTHERS, *NOTEBOOKS} <= reached


def test_site_has_every_page_in_its_contents() -> None:
    """What the index lists is in its tables of contents, too, which the site's sidebar is made from."""
    lists = "\n".join(blocks(INDEX, "{toctree}"))
    for page in PAGES[1:]:
        assert page == INDEX or re.search(rf"^{page.stem}$", lists, re.MULTILINE), page.name


def test_reference_has_every_public_name() -> None:
    """What `import jobsim` offers is on one of the pages made from docstrings."""
    pages = "\n".join(page.read_text("utf-8") for page in PAGES if page.name.startswith("api-"))
    named = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)$", pages, re.MULTILINE))
    assert {f"jobsim.{name}" for name in jobsim.__all__} <= named


def test_reference_of_commands_has_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that is not hidden has a line with what it does."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    text = runpy.run_path(str(ROOT / "docs" / "command_pages.py"))["commands"]()
    for name, command in commands(get_command(app), "jobsim"):
        section = text.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in command.params:
            shown = (parameter.opts[0], str(parameter.metavar).replace("|", "❘"), str(parameter.name).upper())
            line = rf"^\| `({'|'.join(map(re.escape, shown))})`[^|]* \| \w"
            assert parameter.hidden or re.search(line, section, re.MULTILINE), (name, parameter.name)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by the words that call it."""
    below = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, one in below.items():
        yield from commands(one, f"{path} {name}")


def test_reference_of_the_scenario_file_has_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key that the schema knows has a line, but for those of models, which have a page."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "schema_tables.py"))
    schema, text = scenario_schema(), script["scenario_format"]()
    parts = [part for name, _, more in script["TABLES"] for part in (name, *more)]
    for table in (schema, *(schema["$defs"][part] for part in parts)):
        for key, value in table.get("properties", {}).items():
            assert "const" in value or f"| `{key}` | " in text, key


def test_pictures_are_there_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that `make docs` draws is on a page, and every state has its place in that of the states."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    shown = {target for page in PAGES for target, _ in links(page)}
    assert {ROOT / "docs" / "images" / name for name in script["PICTURES"]} <= shown
    assert script["PLACES"].keys() == {None, *State}


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


def test_table_of_campaigns_is_that_of_the_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is what `make docs` would write; shares of a campaign are added up, and others' figures stay."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "reliability_table.py"))
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert script["with_tables"](text, script["TABLES"]) == text
    report = tmp_path / "reliability.jsonl"
    share = [{"campaign": "storm", "figure": name, "value": n} for name, n in (("kills", 2), ("lost", 1))]
    report.write_text("".join(f"{json.dumps(line)}\n" for line in share * 2), encoding="utf-8")
    figures = script["taken_in"](
        {"other": {"figures": {"runs": 9}}, "storm": {"figures": {"kills": 1}}}, [report]
    )
    assert figures["other"] == {"figures": {"runs": 9}}
    assert figures["storm"]["figures"] == {"kills": 4, "lost": 2}


def test_table_of_states_is_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what `make docs` would write."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    script = runpy.run_path(str(ROOT / "docs" / "state_table.py"))
    text = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
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
    imports = rest.replace('kind = "a"', 'kind = "import"\nqueue = "imports"')
    scenario = Scenario.from_text(f"{head}{workers}{storage}{jobs}{rest}{jobs}{imports}")
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


def test_manifest_of_kubernetes_starts_what_there_is() -> None:
    """Its labels agree, the program takes its command line and variables, and is given time to stop."""
    [text] = blocks(ROOT / "docs" / "howto-run-in-production.md", "yaml")
    manifest = yaml.safe_load(text)
    assert (manifest["apiVersion"], manifest["kind"]) == ("apps/v1", "Deployment")
    spec = manifest["spec"]
    pod = spec["template"]["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    [container] = pod["containers"]
    program: Any = get_command(app)
    name, *line = container["command"]
    assert name == "jobsim"
    worker = program.commands[line[0]]
    taken = worker.make_context(line[0], line[1:]).params
    assert (taken["app"], taken["concurrency"], str(taken["log_format"])) == ("tasks:queue", 8, "json")
    assert {variable["name"] for variable in container["env"]} <= set(variables(program))
    stops_within = taken["shutdown_timeout"] or duration(WorkerSettings(slots=1).shutdown_timeout)
    assert pod["terminationGracePeriodSeconds"] * SECOND > stops_within
    # A worker serves nothing but metrics, and these on its own machine: there is no path to probe.
    assert not [key for key in container if key.endswith("Probe") or key == "ports"]
