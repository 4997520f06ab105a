"""``jobsim sweep``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Cli = Callable[..., Result]

QUICK = ("-n", "2", "--n-jobs", "1", "--no-progress", "-p", "none")


def test_sweep_shows_a_row_a_cell_and_policy(cli: Cli, scenario: Path) -> None:
    """Keys, policy and measures are columns, 80 wide; cells are counted."""
    result = cli("sweep", str(scenario), *QUICK, "--vary", "workers.count=1,2")
    assert result.exit_code == 0, result.stderr
    assert "2 runs of each policy in each of 2 cells, seed 3, on the memory store" in " ".join(
        result.stdout.split()
    )
    lines = result.stdout.splitlines()
    assert any(line.startswith("1 ") and " none " in line and "±" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert result.stderr == ""


def test_sweep_as_json_is_one_object(cli: Cli, scenario: Path) -> None:
    """Programs get every cell's values and the measures asked for with their intervals."""
    options = ("--vary", "workers.lease=30s,1m", "-m", "attempts", "--json")
    result = cli("sweep", str(scenario), *QUICK, *options)
    (line,) = result.stdout.splitlines()
    record = json.loads(line)
    assert [row["values"] for row in record["rows"]] == [{"workers.lease": "30s"}, {"workers.lease": "1m"}]
    [(name, found)] = record["rows"][0]["measures"].items()
    assert name == "attempts"
    assert found["low"] <= found["mean"] <= found["high"]
    assert result.stderr == ""


def test_sweep_takes_the_table_of_the_file(cli: Cli, scenario: Path) -> None:
    """Without --vary, the scenario's own matrix is run."""
    table = "\n[sweep]\nworkers.count = [1, 2]\nworkers.slots = [1, 2]\n"
    scenario.write_text(scenario.read_text(encoding="utf-8") + table, encoding="utf-8")
    assert json.loads(cli("sweep", str(scenario), *QUICK, "--json").stdout)["cells"] == 4
    zipped = ("--zip", "--vary", "workers.count=1,2", "--vary", "workers.slots=[1, 2]")
    assert json.loads(cli("sweep", str(scenario), *QUICK, *zipped, "--json").stdout)["cells"] == 2


def test_sweep_keeps_runs_and_a_report(cli: Cli, scenario: Path, tmp_path: Path) -> None:
    """The directory holds a file a run, the page and its figure; a second call finds the runs there."""
    out = tmp_path / "sweep"
    command = ("sweep", str(scenario), *QUICK, "--vary", "workers.count=1,2", "--out", str(out), "--json")
    first = cli(*command)
    assert first.exit_code == 0, first.stderr
    assert f"Report  {out / 'report.html'}" in first.stderr
    times = {path: path.stat().st_mtime_ns for path in out.glob("runs/*.json")}
    assert len(times) == 4
    assert cli(*command).stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*.json")} == times


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing is to be swept; write for example --vary workers.count=2,4,8"),
        (("--zip",), "give the keys by --vary"),
        (("--vary", "workers.count"), "write KEY=A,B,C"),
        (("--vary", "workers.cont=1"), "did you mean 'count'"),
        (("--vary", "workers.lease=30"), "30 has no unit"),
        (("--vary", "seed=1,2"), "seed cannot be swept"),
        (("--vary", "workers.count=1", "-m", "jbs"), "did you mean 'jobs'"),
    ],
)
def test_sweep_of_wrong_options_is_one_sentence(
    cli: Cli, scenario: Path, options: tuple[str, ...], said: str
) -> None:
    """Wrong usage is code 2, one sentence, and nothing runs."""
    result = cli("sweep", str(scenario), *QUICK, *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_sweep_that_is_stopped_says_what_is_kept(
    cli: Cli, scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it with code 130, and names the directory to go on from."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobsim.sim.sweep_task.replicate", stopped)
    out = tmp_path / "sweep"
    result = cli("sweep", str(scenario), *QUICK, "--vary", "workers.count=1,2", "--out", str(out))
    assert result.exit_code == 130
    assert f"stopped; finished runs are kept in {out}" in result.stderr
