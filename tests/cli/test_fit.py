"""``jobsim fit``: from what happened to a scenario's file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from jobsim.sim import Scenario, simulate

Cli = Callable[..., Result]


@pytest.fixture
def log(scenario: Path) -> Path:
    """Return a table of the events of two minutes with an outage."""
    path = scenario.with_name("events.csv")
    simulate(Scenario.from_toml(scenario), "mine").events.to_csv(path, index=False)
    return path


def test_fit_writes_a_scenario_that_compare_reads(cli: Cli, log: Path, tmp_path: Path) -> None:
    """The table of fits is on stdout, the rest on stderr, and the file is a scenario of its name."""
    out = tmp_path / "tuesday.toml"
    result = cli("fit", str(log), "--out", str(out))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("KIND")
    assert "outage" in result.stdout
    assert f"Wrote {out}" in result.stderr
    assert "Note: workers may have had more slots" in result.stderr
    world = Scenario.from_toml(out)
    assert (world.name, [job.kind for job in world.jobs]) == ("tuesday", ["charge"])
    assert cli("compare", str(out), "-n", "2", "-j", "1", "--no-progress", "-p", "none").exit_code == 0


def test_fit_without_a_file_writes_the_scenario_on_stdout(cli: Cli, log: Path) -> None:
    """What can be piped is the scenario, and nothing else."""
    result = cli("fit", str(log), "--replay")
    assert result.exit_code == 0, result.stderr
    world = Scenario.from_text(result.stdout)
    assert world.description.startswith("Replayed as it was: ")
    assert 'dist = "in_order"' in result.stdout
    assert "arrivals" in result.stderr


def test_fit_as_json_is_a_line_a_fit(cli: Cli, log: Path, tmp_path: Path) -> None:
    """Programs get an object for each thing fitted; what is no number is null."""
    result = cli("fit", str(log), "--out", str(tmp_path / "a.toml"), "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["part"] for row in rows] == ["arrivals", "service", "failures", "outage", "workers"]
    assert rows[0]["distance"] < 0.2
    assert rows[-1]["distance"] is None


def test_fit_draws_a_picture(cli: Cli, log: Path, tmp_path: Path) -> None:
    """The picture is where it was asked for; a format that nobody knows is said to be one."""
    plot = tmp_path / "fits.png"
    assert cli("fit", str(log), "--plot", str(plot)).exit_code == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    result = cli("fit", str(log), "--plot", str(tmp_path / "fits.bmpp"))
    assert result.exit_code == 1
    assert "bmpp" in result.stderr


def test_fit_writes_over_nothing_unless_told(cli: Cli, log: Path, scenario: Path) -> None:
    """A scenario that somebody may have worked on stays as it is."""
    before = scenario.read_text(encoding="utf-8")
    result = cli("fit", str(log), "--out", str(scenario))
    assert result.exit_code == 1
    assert f"{scenario} is there already" in result.stderr
    assert scenario.read_text(encoding="utf-8") == before
    assert cli("fit", str(log), "--out", str(scenario), "--force").exit_code == 0
    assert scenario.read_text(encoding="utf-8") != before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.csv"], 1, "nowhere.csv: there is no such file"),
        (["sqlite:///nowhere.db"], 4, "nowhere.db"),
        (["nosuchmodule:queue"], 2, "there is no module 'nosuchmodule'"),
        (["events.csv", "--since", "yesterday"], 2, "'yesterday' is no date and time"),
        (["events.csv", "--since", "2030-01-01"], 1, "no job arrives in that time"),
        (["events.csv", "--out", "no/such/dir.toml"], 1, "there is no such directory"),
        (["small.toml"], 1, "small.toml:1: is no table of events"),
    ],
)
def test_fit_says_what_is_wrong(
    cli: Cli, log: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    """Whatever cannot be fitted is one sentence, with the exit code of its kind."""
    monkeypatch.chdir(log.parent)
    result = cli("fit", *arguments)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
