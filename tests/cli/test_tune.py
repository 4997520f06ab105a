"""``jobsim tune``, ``jobsim equal-risk`` and ``jobsim schema``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from jobsim.sim import Scenario, schema

Cli = Callable[..., Result]

ALONE = ("--n-jobs", "1", "--no-progress")
QUICK = (*ALONE, "--trials", "6", "-n", "2", "--vary", "max_attempts=1..8", "--vary", "backoff.base=2s..20s")


def test_tune_shows_the_policy_as_python_and_as_toml(cli: Cli, scenario: Path) -> None:
    """Both can be copied: the table makes the policy that the Python text makes."""
    pytest.importorskip("optuna", reason="optuna is an extra")
    result = cli("tune", str(scenario), *QUICK, "--keep", "dead_letter_rate<5%")
    assert result.exit_code == 0, result.stderr
    said, _, rest = result.stdout.partition("\nIn Python:\n")
    python, _, toml = rest.partition("\n\nIn a scenario:\n")
    assert "keep dead_letter_rate below 5 %" in " ".join(said.split())
    text = scenario.read_text(encoding="utf-8").replace('"mine"]', '"mine", "tuned"]')
    assert repr(Scenario.from_text(text + toml).policies["tuned"]) == python
    assert result.stderr == ""


def test_tune_as_json_is_one_object(cli: Cli, scenario: Path) -> None:
    """Programs get the policy, its numbers on fresh runs, and every trial."""
    pytest.importorskip("optuna", reason="optuna is an extra")
    rule = ("--keep", "dead_letter_rate<5%", "--objective", "attempts", "--json", "-p", "mine")
    (line,) = cli("tune", str(scenario), *QUICK, *rule).stdout.splitlines()
    record = json.loads(line)
    assert record["found"]
    assert record["policy"].startswith("RetryPolicy(Exponential(base=")
    assert record["fresh_runs"]["tuned"]["dead_letter_rate"]["high"] < 0.05
    assert record["fresh_runs"]["before"]["attempts"]["n"] == 4
    assert 0 < len(record["trials"]) <= 6


def test_tune_that_finds_nothing_is_an_error(cli: Cli, scenario: Path) -> None:
    """What came nearest is told, and the exit code is 1."""
    pytest.importorskip("optuna", reason="optuna is an extra")
    result = cli("tune", str(scenario), *ALONE, "-n", "2", "--trials", "2", "--vary", "max_attempts=1,2")
    assert result.exit_code == 1
    assert "nearest came RetryPolicy" in " ".join(result.stdout.split())
    assert result.stderr == "jobsim: no policy was found\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--vary", "max_attempts"), "write KEY=A,B,C"),
        (("--vary", "max_atempts=1..3"), "did you mean 'max_attempts'"),
        (("--vary", "max_attempts=3..1"), "from the lower value to the higher"),
        (("--vary", "backoff.base=1s..x"), "x"),
        (("--objective", "jbs"), "did you mean 'jobs'"),
        (("--keep", "dead_letter_rate"), "write NAME<BOUND"),
        (("--keep", "dead_leter_rate<0.1"), "did you mean 'dead_letter_rate'"),
        (("--keep", "dead_letter_rate<5m"), "must be a finite number or a share"),
        (("--policy", "full_jiter"), "did you mean 'full_jitter'"),
        (("--trials", "0"), "--trials"),
    ],
)
def test_tune_of_wrong_options_is_one_sentence(
    cli: Cli, scenario: Path, options: tuple[str, ...], said: str
) -> None:
    """Wrong usage is code 2, one sentence, and nothing runs."""
    result = cli("tune", str(scenario), *ALONE, *options)
    assert result.exit_code == 2, result.stderr
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_equal_risk_shows_attempts_and_what_they_cost(cli: Cli, scenario: Path) -> None:
    """Each policy has its attempts and what was lost with them; one that fails is said to."""
    result = cli("equal-risk", str(scenario), *ALONE, "-n", "3", "--risk", "2%", "--most", "12")
    assert result.exit_code == 0, result.stderr
    assert "at most 2 % of all jobs are lost" in " ".join(result.stdout.split())
    assert any(line.startswith("none ") and "never by 12" in line for line in result.stdout.splitlines())
    assert "none cannot reach it" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_equal_risk_as_json_is_one_object(cli: Cli, scenario: Path) -> None:
    """Programs get each policy's attempts, the risk with its interval, and the search."""
    options = ("-n", "2", "--risk", "0.05", "-p", "mine", "--json")
    (line,) = cli("equal-risk", str(scenario), *ALONE, *options).stdout.splitlines()
    record = json.loads(line)
    found = record["policies"]["mine"]
    assert found["reached"]
    assert found["definition"].endswith(f"max_attempts={found['max_attempts']}, name='mine')")
    assert record["trials"][0]["max_attempts"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--risk", "much"), "must be a finite number or a share"),
        (("--risk", "0"), "give a share between 0 and 1"),
        (("--risk", "3"), "3.0 is no share between 0 and 1"),
        (("--most", "0"), "--most"),
        (("--policy", "obann"), "did you mean 'oban'"),
    ],
)
def test_equal_risk_of_wrong_options_is_one_sentence(
    cli: Cli, scenario: Path, options: tuple[str, ...], said: str
) -> None:
    """Wrong usage is code 2, one sentence, and nothing runs."""
    result = cli("equal-risk", str(scenario), *ALONE, *options)
    assert result.exit_code == 2, result.stderr
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_schema_is_written_where_it_is_asked(cli: Cli, tmp_path: Path) -> None:
    """On standard output, or into a file; a file that cannot be written is one sentence."""
    result = cli("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "jobsim scenario"
    assert result.stdout == schema.schema_text()
    path = tmp_path / "scenario.schema.json"
    written = cli("schema", "--out", str(path))
    assert path.read_text(encoding="utf-8") == result.stdout
    assert f"#:schema {path}" in written.stderr
    assert cli("schema", "--out", str(path / "below")).exit_code == 1
