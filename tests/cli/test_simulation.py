"""``jobsim run``, ``validate`` and ``compare``."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Cli = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]

QUICK = ("-n", "3", "--n-jobs", "1", "--no-progress")


def test_validate_says_what_a_file_describes(cli: Cli, scenario: Path) -> None:
    """A valid scenario is named on stdout, and the exit code is 0."""
    result = cli("validate", str(scenario))
    assert result.exit_code == 0
    assert result.stdout == f"{scenario}: valid; 1 kind of job, 3 policies\n"
    assert result.stderr == ""


def test_validate_shows_every_problem_with_its_line(cli: Cli, scenario: Path) -> None:
    """All problems of all files are told, with file, line and the word that was meant."""
    broken = scenario.with_name("broken.toml")
    text = scenario.read_text(encoding="utf-8").replace("slots = 2", "slts = 2")
    broken.write_text(text.replace('lease = "30s"', "lease = 30"), encoding="utf-8")
    result = cli("validate", str(broken), str(scenario))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"jobsim: {broken}:10: workers.slots is missing")
    assert f"{broken}:12: workers.slts: unknown key (did you mean 'slots'?)" in result.stderr
    assert f"{broken}:13: workers.lease: 30 has no unit" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.startswith(f"{scenario}: valid")


def test_validate_as_json_is_a_line_a_file(cli: Cli, scenario: Path) -> None:
    """Programs get one object a file, valid or not."""
    result = cli("validate", "--json", str(scenario), "missing.toml")
    good, bad = map(json.loads, result.stdout.splitlines())
    assert good == {"path": str(scenario), "valid": True, "error": None}
    assert bad["valid"] is False
    assert "missing.toml: there is no such file" in bad["error"]
    assert result.exit_code == 1


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        ("", "is empty"),
        ("name = ", "not TOML"),
        ("schema = 99\n", "is newer than this version"),
        ("\x00\xff", "not"),
    ],
)
def test_a_file_that_is_no_scenario_is_one_sentence(
    cli: Cli, tmp_path: Path, command: str, content: str | None, said: str
) -> None:
    """Whatever is wrong with the file, it is named, and there is no traceback."""
    path = tmp_path / "bad.toml"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    result = cli(command, str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"jobsim: {path}")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["run", "compare"])
def test_an_unknown_policy_names_the_one_meant(cli: Cli, scenario: Path, command: str) -> None:
    """A misspelt policy is wrong usage, and the nearest one is offered."""
    result = cli(command, str(scenario), "--policy", "full_jiter")
    assert result.exit_code == 2
    assert "--policy" in result.stderr
    assert "did you mean 'full_jitter'?" in result.stderr


@pytest.mark.parametrize("command", ["run", "compare"])
def test_a_directory_that_cannot_be_written_is_refused_before_the_run(
    cli: Cli, scenario: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a long run whose results cannot be kept."""

    def run(*_: object, **__: object) -> None:
        pytest.fail("it ran")

    monkeypatch.setattr("jobsim.sim.simulation.simulate", run)
    monkeypatch.setattr("jobsim.sim.experiment.compare", run)
    result = cli(command, str(scenario), "--out", str(scenario / "inside-a-file"))
    assert result.exit_code == 1
    assert "nothing can be written to" in result.stderr


def test_run_shows_every_measure(cli: Cli, scenario: Path) -> None:
    """One run is a table of all measures, with units, 80 columns wide."""
    result = cli("run", str(scenario), "--policy", "mine", "--seed", "5")
    assert result.exit_code == 0, result.stderr
    assert "small under mine, seed 5, on memory" in result.stdout
    assert "latency_p95_s" in result.stdout
    assert "dead_letter_rate" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_run_repeats_exactly_with_its_seed(cli: Cli, scenario: Path) -> None:
    """Equal seeds give the same event log, another seed another."""
    digests = [
        json.loads(cli("run", str(scenario), "--json", "--seed", seed).stdout)["digest"]
        for seed in ("5", "5", "6")
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_run_as_json_is_one_object(cli: Cli, scenario: Path) -> None:
    """Programs get the measures as numbers, and nothing else on stdout."""
    result = cli("run", str(scenario), "--json")
    (line,) = result.stdout.splitlines()
    record = json.loads(line)
    assert record["scenario"] == "small"
    assert record["policy"] == "full_jitter"
    assert record["seed"] == 3
    assert record["measures"]["jobs"] > 100
    assert record["files"] == []


def test_run_writes_its_tables_where_it_says(cli: Cli, scenario: Path, tmp_path: Path) -> None:
    """Jobs, attempts and events are there as CSV, whole, and named on stderr."""
    out = tmp_path / "new" / "run"
    result = cli("run", str(scenario), "--out", str(out), "--json")
    files = [out / f"{name}.csv" for name in ("jobs", "attempts", "events")]
    record = json.loads(result.stdout)
    assert record["files"] == list(map(str, files))
    assert sorted(out.iterdir()) == sorted(files)
    with files[0].open(encoding="utf-8") as table:
        assert sum(1 for _ in table) == record["measures"]["jobs"] + 1
    assert all(f"Wrote {file}" in result.stderr for file in files)


def test_run_on_sqlite_gives_the_same_measures(cli: Cli, scenario: Path) -> None:
    """The store does not change what the engine does."""
    memory, sqlite = (
        json.loads(cli("run", str(scenario), "--json", "--storage", store).stdout)
        for store in ("memory", "sqlite")
    )
    assert memory["measures"] == sqlite["measures"]
    assert sqlite["storage"] == "sqlite"


def test_compare_shows_a_table_a_verdict_and_what_next(cli: Cli, scenario: Path) -> None:
    """Each policy has its row with intervals; the verdict follows; stderr closes with three commands."""
    result = cli("compare", str(scenario), *QUICK)
    assert result.exit_code == 0, result.stderr
    for words in ("letters, %", "p95 latency", "latency, s", "attempts", "recovery", "up after"):
        assert words in result.stdout
    for policy in ("none", "full_jitter", "mine"):
        assert any(line.startswith(f"{policy} ") and "±" in line for line in result.stdout.splitlines())
    assert "3 runs of each policy, seed 3, on the memory store" in result.stdout
    assert "95 % confidence" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 80
    for step in ("# 1. Write a report", "# 2. Follow a single run", "# 3. Give the very same"):
        assert step in result.stderr


def test_compare_takes_the_policies_named(cli: Cli, scenario: Path) -> None:
    """Named policies, presets or the scenario's own, replace those of the file."""
    result = cli("compare", str(scenario), *QUICK, "-p", "oban", "-p", "mine", "--json")
    record = json.loads(result.stdout)
    assert list(record["policies"]) == ["oban", "mine"]
    assert list(record["summary"]) == ["oban", "mine"]


def test_compare_as_json_is_one_object(cli: Cli, scenario: Path) -> None:
    """Programs get every measure with its interval, the verdict, and what it takes to repeat it."""
    result = cli("compare", str(scenario), *QUICK, "--json", "--seed", "11")
    (line,) = result.stdout.splitlines()
    record = json.loads(line)
    assert (record["seed"], record["replications"], record["storage"]) == (11, 3, "memory")
    cell = record["summary"]["none"]["dead_letter_rate"]
    assert cell["low"] <= cell["mean"] <= cell["high"]
    assert cell["n"] == 3
    assert record["report"] is None
    assert record["verdict"]
    assert result.stderr == ""


def test_compare_adds_runs_until_it_is_precise(cli: Cli, scenario: Path) -> None:
    """With --precision the runs named are the first look, which ten or more must be."""
    few = ("--n-jobs", "1", "--no-progress", "-p", "none", "--precision", "0.5", "--json")
    record = json.loads(cli("compare", str(scenario), *few, "-n", "10").stdout)
    assert record["replications"] >= 10
    assert record["precision"].startswith("success_rate 50 %")
    refused = cli("compare", str(scenario), *few, "-n", "9")
    assert "first looked at after 10 or more; not 9" in f"{refused.exception} {refused.stderr}"


def test_compare_writes_a_report_where_it_says(cli: Cli, scenario: Path, tmp_path: Path) -> None:
    """The page and its figure are there, and stderr names them and how to open the page."""
    out = tmp_path / "reports" / "small"
    result = cli("compare", str(scenario), *QUICK, "--out", str(out))
    assert result.exit_code == 0, result.stderr
    assert (out / "overview.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")
    assert str(out / "report.html") in result.stderr
    assert str(out / "overview.png") in result.stderr
    assert "# 1. Open the report" in result.stderr


def test_compare_of_one_run_says_that_it_shows_no_spread(cli: Cli, scenario: Path) -> None:
    """One replication has no interval, and no winner is claimed from it."""
    result = cli("compare", str(scenario), "-n", "1", "--n-jobs", "1", "--no-progress")
    assert result.exit_code == 0, result.stderr
    assert "no spread" in result.stdout


def test_a_scenario_in_which_no_job_arrives_is_told(cli: Cli, scenario: Path, tmp_path: Path) -> None:
    """Tables, pictures and reports of nothing are made, and say that it is nothing."""
    text = scenario.read_text(encoding="utf-8")
    late = text.replace('process = "poisson", rate = "2/s"', 'process = "list", times = ["1h"]')
    scenario.write_text(late, encoding="utf-8")
    for command in (("compare",), ("sweep", "--vary", "workers.count=1,2"), ("equal-risk", "--most", "2")):
        out = () if command[0] == "equal-risk" else ("--out", str(tmp_path / command[0]))
        result = cli(*command, str(scenario), *QUICK, *out)
        assert result.exit_code == 0, result.stderr
        assert "nan" not in result.stdout
        if command[0] != "sweep":
            assert "No job arrived in any run" in " ".join(result.stdout.split())


def test_compare_shows_recovery_only_where_there_is_an_outage(cli: Cli, scenario: Path) -> None:
    """A column that no run has a number for is left out, and so is what it means."""
    text = scenario.read_text(encoding="utf-8")
    assert "recovery" in cli("compare", str(scenario), *QUICK).stdout
    calm = "\n".join(line for line in text.splitlines() if "outage" not in line or "description" in line)
    scenario.write_text(calm, encoding="utf-8")
    shown = cli("compare", str(scenario), *QUICK)
    assert shown.exit_code == 0
    assert "recovery" not in shown.stdout.lower()


def test_compare_does_not_depend_on_the_number_of_processes(cli: Cli, scenario: Path) -> None:
    """Two processes find what one does."""
    one, two = (
        cli("compare", str(scenario), "-n", "2", "--n-jobs", n, "--json", "-p", "none").stdout
        for n in ("1", "2")
    )
    assert json.loads(one) == json.loads(two)


@pytest.mark.live
def test_the_three_steps_work_as_printed(shell: Shell, scenario: Path, root: Path, tmp_path: Path) -> None:
    """What the closing tells to try can be copied into a shell, all at once."""
    closing = shell("compare", scenario.name, *QUICK, "--out", "reports/small").stderr
    steps = closing.partition("Three things to try next:")[2]
    done = subprocess.run(
        ["sh", "-euc", steps],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "BROWSER": "echo browse %s"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"browse {(tmp_path / 'reports/small/report.html').as_uri()}" in done.stdout
    assert (tmp_path / "reports" / "small" / "one-run" / "events.csv").exists()
    assert "Hello, Ada" in done.stdout


EXPECT = """
[expect]
attempts_per_job = { policy = "none", below = 1.01 }
dead_letter_rate = { below = "99 %" }
"""


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_compare_ends_in_99_where_an_expectation_is_broken(
    cli: Cli, scenario: Path, as_json: tuple[str, ...]
) -> None:
    """All results are shown first, then stderr names the expectation that the runs break."""
    scenario.write_text(scenario.read_text(encoding="utf-8") + EXPECT, encoding="utf-8")
    result = cli("compare", str(scenario), *QUICK, *as_json)
    assert result.exit_code == 99
    assert "jobsim: 1 expectation is broken: none: attempts_per_job below 1.01: broken" in result.stderr
    if as_json:
        [broken, *others] = json.loads(result.stdout)["expectations"]
        assert broken["finding"] == "broken"
        assert broken["found"]["low"] > broken["below"]
        assert [one["finding"] for one in others] == ["kept"] * 3
    else:
        assert result.stdout.count(": kept;") == 3


def test_compare_of_kept_expectations_ends_well(cli: Cli, scenario: Path) -> None:
    """Nothing is said on stderr of what is as expected, and the exit code is 0."""
    expect = '[expect]\ndead_letter_rate = { below = "99 %" }\n'
    scenario.write_text(scenario.read_text(encoding="utf-8") + expect, encoding="utf-8")
    result = cli("compare", str(scenario), *QUICK, "--json")
    assert (result.exit_code, result.stderr) == (0, "")


def test_validate_runs_a_scenario_when_asked(cli: Cli, scenario: Path) -> None:
    """With `--run` expectations are judged, a broken one being exit code 99; else the file is checked."""
    scenario.write_text(scenario.read_text(encoding="utf-8") + EXPECT, encoding="utf-8")
    assert cli("validate", str(scenario)).exit_code == 0
    result = cli("validate", str(scenario), "--run", "3")
    assert result.exit_code == 99
    assert "none: attempts_per_job below 1.01: broken" in result.stdout
