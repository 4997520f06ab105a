"""The plugin as pytest runs it: what it reports, its options and fixtures, and how little it imports."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Loaded before any run within: pytester forgets what that loads, and would load it twice.
import jobsim.policies
import jobsim.testing.everywhere
import jobsim.testing.postgres_server
from jobsim.storage.sqlite import SqliteStorage

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "howto-test-your-handlers.md").read_text(encoding="utf-8")
LOADED = (jobsim.testing.everywhere, jobsim.testing.postgres_server, jobsim.policies, SqliteStorage)
PLUGIN = ("-p", "no:jobsim", "-p", "jobsim.pytest_plugin", "-p", "no:cacheprovider")
HEAVY = {"apsw", "hypothesis", "numpy", "pandas", "pydantic", "psycopg", "simpy", "tomlkit", "typer"}

CHARGE = """\
    import jobsim
    import pytest
    from jobsim.testing import crash_everywhere

    class Bank:
        def __init__(self):
            self.charges = []
            self.keys = set()

        def charge(self, order, key=None):
            if key is None or key not in self.keys:
                self.charges.append(order)
            self.keys.add(key)

    def charge(order: int, bank: Bank) -> None:
        bank.charge(order)
        print("charged")

    def charge_once(order: int, bank: Bank) -> None:
        bank.charge(order, key=jobsim.current_job().id)
        print("charged")

    def prove(app, handler):
        bank = Bank()
        app.register(handler, deps={"bank": bank})
        job = app.enqueue(handler.__name__, order=7)
        app.drain()
        assert bank.charges == [7]
        assert job.reload().state == "succeeded"
"""
NAIVE = f"""{CHARGE}
    @crash_everywhere()
    def test_naive(app):
        prove(app, charge)
"""
SAFE = f"""{CHARGE}
    @pytest.mark.parametrize("number", [1, 2])
    @crash_everywhere()
    def test_safe(app, number):
        prove(app, charge_once)
"""
SUBFAILED = re.compile(r"^SUBFAILED\[(.*?)\] (\S+)", re.MULTILINE)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes of their own import this jobsim."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest within this process, with the plugin."""
    return pytester.runpytest_inprocess(*PLUGIN, *arguments)


def test_double_charge_is_found_where_it_happens_and_nowhere_else(pytester: pytest.Pytester) -> None:
    """A naive handler fails at just the two points after the charge and before it is on record."""
    pytester.makepyfile(test_it=NAIVE)
    result = run(pytester)
    where = ["worker dies at handler:charge:17", "worker dies at engine:before:settle"]
    assert [found[0] for found in SUBFAILED.findall(result.stdout.str())] == where
    result.stdout.fnmatch_lines(
        [
            "jobsim: storage memory, crash all, seed 1",
            'E*the worker dies before line 17 of test_it.py: print("charged")',
            "E*replay with: pytest 'test_it.py::test_naive' --jobsim-replay=handler:charge:17/memory/seed=1",
            "jobsim: crashes tried: 6, in tests: 1",
        ]
    )


def test_replay_makes_the_one_run_that_a_failure_named(pytester: pytest.Pytester) -> None:
    """It fails again, alone and as the test itself; where it does not belong, it is skipped."""
    pytester.makepyfile(test_it=NAIVE, test_that=SAFE.replace("charge_once", "charge_twice"))
    result = run(pytester, "--jobsim-replay=handler:charge:17/memory/seed=1")
    result.assert_outcomes(failed=1, skipped=2)
    assert not SUBFAILED.findall(result.stdout.str())
    result.stdout.fnmatch_lines(
        ["E*the worker dies before line 17*", "jobsim: crashes tried: 1, in tests: 1"]
    )


def test_replay_that_the_named_test_does_not_come_to_fails(pytester: pytest.Pytester) -> None:
    """A test that is run by itself is the one to replay; if the code has changed since, it shows nothing."""
    pytester.makepyfile(test_it=NAIVE)
    result = run(pytester, "test_it.py", "--jobsim-replay=handler:charge:99/memory/seed=1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*no worker reached handler:charge:99 in this run*"])


EXPLORED = f"""{CHARGE}
    from hypothesis import given, settings, strategies as st
    from jobsim.testing import explore_crashes

    @settings(database=None, derandomize=True, max_examples=5)
    @given(st.integers(1, 3))
    def test_any(times):
        def charge_often(order: int, bank: Bank) -> None:
            for _ in range(times):
                bank.charges.append(order)
            bank.charges[:] = bank.charges[-1:]

        explore_crashes(lambda app: prove(app, charge_often))

    def test_other():
        pass
"""
"""A handler whose lines are reached as often as Hypothesis says."""


def test_replay_that_no_input_leads_to_fails(pytester: pytest.Pytester) -> None:
    """It says what to do; where one input leads there, or none is looked for, the test passes."""
    pytester.makepyfile(EXPLORED)
    [line] = [n for n, text in enumerate(EXPLORED.splitlines(), 1) if "charges.append(order)" in text][1:]
    token = f"handler:charge_often:{line}@{{}}/memory/seed=1".format
    run(pytester, f"--jobsim-replay={token(3)}").assert_outcomes(passed=2)
    result = run(pytester, f"--jobsim-replay={token(4)}")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"--jobsim-replay={token(4)}: with none of the input * by @example(*"])


def test_idempotent_handler_passes_on_every_store_asked_for(pytester: pytest.Pytester) -> None:
    """Parameters of the test, and stores of the command line, make no difference."""
    pytester.makepyfile(SAFE)
    result = run(pytester, "--jobsim-storage=memory,sqlite")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["jobsim: crashes tried: 24, in tests: 2"])


def test_test_may_be_a_method_and_have_fixtures_of_its_own(pytester: pytest.Pytester) -> None:
    """It may even have one called app; ``tmp_path`` is empty in each run, and a skip skips the test."""
    pytester.makepyfile(
        f"""{CHARGE}
    @pytest.fixture
    def app():
        return "flask"

    class TestAll:
        @crash_everywhere(points=["handler:*"])
        def test_one(self, jobsim_app, app, request, subtests, tmp_path):
            assert (app, request.node.name) == ("flask", "test_one")
            (tmp_path / "mine").mkdir()
            with subtests.test("inner"):
                prove(jobsim_app, charge_once)

        @crash_everywhere()
        def test_two(self, jobsim_app):
            pytest.skip("not today")
"""
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["jobsim: crashes tried: 2, in tests: 1"])


def test_crashes_are_reported_under_xdist(pytester: pytest.Pytester) -> None:
    """Subtests, notes and the summary come from the processes that ran them."""
    pytest.importorskip("xdist")
    pytester.makepyfile(NAIVE)
    result = pytester.runpytest_subprocess(*PLUGIN, "-n1")
    assert len(SUBFAILED.findall(result.stdout.str())) == 2
    result.stdout.fnmatch_lines(["E*replay with: *", "jobsim: crashes tried: 6, in tests: 1"])


def test_ini_file_says_what_the_command_line_does_not(pytester: pytest.Pytester) -> None:
    """A sample is drawn, the same each time, and what it left out is told; an option goes before it."""
    pytester.makepyfile(SAFE)
    pytester.makeini("[pytest]\njobsim_crash = sample:2\njobsim_seed = 5\n")
    first, second = run(pytester, "-vv"), run(pytester, "-vv")
    first.stdout.fnmatch_lines(
        ["jobsim: *crash sample:2, seed 5", "jobsim: crashes tried: 4, in tests: 2; left out: 8"]
    )
    drawn = [re.findall(r"worker dies at [\w:]+", result.stdout.str()) for result in (first, second)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 4
    off = run(pytester, "--jobsim-crash=off")
    off.stdout.fnmatch_lines(["jobsim: crashes tried: 0, in tests: 2; left out: 12"])


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("--jobsim-storage=sqllite", "'sqllite' is no store (did you mean 'sqlite'?); those are memory, *"),
        ("--jobsim-crash=some", "--jobsim-crash: 'some' is neither all nor off nor sample:N"),
        ("--jobsim-crash=sample:0", "--jobsim-crash: 'sample:0' is neither *"),
        (
            "--jobsim-postgres-dsn=host=db password=s3cret",
            "--jobsim-postgres-dsn: '*' is no URL; write postgresql://*",
        ),
        ("--jobsim-seed=x", "--jobsim-seed: 'x' is not a whole number, at least 0"),
        ("--jobsim-replay=handler:charge:17", "'handler:charge:17' is no token of a run; *"),
        ("--jobsim-replay=charge/memory/seed=1", "'charge' is no crash point; *"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    pytester: pytest.Pytester, option: str, problem: str
) -> None:
    """The message says what is wrong and what there is."""
    pytester.makepyfile(SAFE)
    result = run(pytester, option)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{problem}"])
    assert "s3cret" not in result.stderr.str()


def test_fixtures_give_an_app_its_clock_and_its_faults(pytester: pytest.Pytester) -> None:
    """Each test has a new one, on every store asked for; a broken history fails the test that left it."""
    pytester.makepyfile(
        f"""{CHARGE}
    import dataclasses

    def test_clock(jobsim_app, jobsim_clock):
        bank = Bank()
        jobsim_app.register(charge, deps={{"bank": bank}})
        jobsim_app.enqueue("charge", order=7, delay="5m")
        jobsim_clock.advance("299s")
        assert bank.charges == []
        jobsim_clock.advance("1s")
        assert bank.charges == [7]
        assert jobsim_clock.now.minute == 5

    def test_faults(jobsim_app, jobsim_faults):
        assert jobsim_app.jobs == []
        bank = Bank()
        jobsim_app.register(charge, deps={{"bank": bank}})
        jobsim_app.enqueue("charge", order=7)
        jobsim_faults.kill_worker("engine:before:settle")
        assert jobsim_app.drain() == {{"succeeded": 2}}
        assert bank.charges == [7, 7]

    def test_factory(jobsim_app_factory):
        with jobsim_app_factory(storage="sqlite") as app:
            prove(app, charge)

    def test_broken(jobsim_app):
        jobsim_app.injector.accepted.append(7)
"""
    )
    result = run(pytester, "--jobsim-storage=memory,sqlite")
    result.assert_outcomes(passed=7, errors=2)
    result.stdout.fnmatch_lines(["*conservation: *accepted, yet the log does not know it"])


def test_faults_that_nobody_met_fail_the_test(pytester: pytest.Pytester) -> None:
    """A misspelt point, or a call that is not made, would leave a test that cannot fail."""
    pytester.makepyfile(
        f"""{CHARGE}
    def test_it(jobsim_app, jobsim_faults):
        jobsim_faults.kill_worker("handler:chrage:*")
        jobsim_faults.befall("busy", "extend")
        prove(jobsim_app, charge)
"""
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["nothing came of handler:chrage:[*], busy of extend: workers reached *, handler:charge:17, *"]
    )


def test_store_that_a_test_names_is_the_one_it_gets(pytester: pytest.Pytester) -> None:
    """Its own fixture, or parameter, goes before the stores asked for."""
    pytester.makepyfile(
        test_fixture="""
    import pytest

    @pytest.fixture
    def jobsim_storage():
        return "sqlite"

    def test_it(jobsim_app, jobsim_storage):
        assert jobsim_storage == "sqlite"
    """,
        test_parameter="""
    import pytest

    @pytest.mark.parametrize("jobsim_storage", ["sqlite"])
    def test_it(jobsim_app, jobsim_storage):
        assert jobsim_storage == "sqlite"
    """,
    )
    run(pytester, "--jobsim-storage=memory,sqlite").assert_outcomes(passed=2)


def test_replay_is_printed_as_a_shell_takes_it(pytester: pytest.Pytester) -> None:
    """Parameters of a test may have quotes in them."""
    parametrized = """@pytest.mark.parametrize("word", ["it's"])\n    @crash"""
    pytester.makepyfile(test_it=NAIVE.replace("@crash", parametrized).replace("(app):", "(app, word):"))
    lines = [line for line in run(pytester).stdout.lines if "replay with: " in line]
    words = shlex.split(lines[0].partition("replay with: ")[2])
    assert words[:2] == ["pytest", "test_it.py::test_naive[it's]"]


def test_postgres_is_started_for_tests_that_want_it(pytester: pytest.Pytester, postgres: str) -> None:
    """Or used, where one is named; each run has a schema of its own, which is gone afterwards."""
    import psycopg  # noqa: TID251  # to look

    pytester.makepyfile(SAFE.replace("everywhere()", "everywhere(points=['*:settle'])"))
    result = run(pytester, "--jobsim-storage=postgres", f"--jobsim-postgres-dsn={postgres}")
    result.assert_outcomes(passed=2)
    with psycopg.connect(postgres) as connection:
        rows = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'jobsim_test%'"
        ).fetchall()
    assert rows == []


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    """Every run of pytest in an environment with jobsim loads it."""
    code = "import jobsim.pytest_plugin, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert HEAVY & set(done.stdout.split()) == set()


def test_plugin_is_found_by_pytest_where_jobsim_is_installed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry point loads it, and -p no:jobsim does not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(name, module)] = project["entry-points"]["pytest11"].items()
    metadata = pytester.mkdir("site") / "jobsim_here-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: jobsim-here\nVersion: 1\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{metadata.parent}:{ROOT}")
    told = pytester.runpytest_subprocess("--help")
    told.stdout.fnmatch_lines(["jobs, and workers that die (jobsim):", "*--jobsim-replay=TOKEN*"])
    assert "--jobsim-replay" not in pytester.runpytest_subprocess("--help", "-p", "no:jobsim").stdout.str()


def modules() -> dict[str, str]:
    """Return the code of the page, by the names of its files."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return {found[1]: block for block in blocks if (found := re.match(r"# (\w+)\.py\n", block))}


def test_page_shows_what_happens(pytester: pytest.Pytester) -> None:
    """The tests of the page fail where it says, with the note that it shows, and pass everywhere else."""
    pytester.makepyfile(**modules())
    result = run(pytester, "--tb=short")
    shown = "".join(re.findall(r"^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    assert SUBFAILED.findall(result.stdout.str()) == SUBFAILED.findall(shown)
    result.assert_outcomes(passed=5, failed=1 + 2)
    result.stdout.fnmatch_lines(
        [line.replace("[", "[[]") for line in shown.splitlines() if line.startswith("E")]
    )


def test_readme_shows_what_happens(pytester: pytest.Pytester) -> None:
    """Its test passes, and fails where it says if the key is another at every attempt."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```python\n(# test_charge.py\n.*?)^```", text, re.DOTALL | re.MULTILINE)
    [shown] = re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    pytester.makepyfile(test_charge=block)
    run(pytester).assert_outcomes(passed=1)
    pytester.makepyfile(test_charge=block.replace("key=current_job().id", "key=object()"))
    assert SUBFAILED.findall(run(pytester).stdout.str()) == SUBFAILED.findall(shown)


def test_page_names_all_options_and_fixtures() -> None:
    """What the plugin has is on the page."""
    source = (ROOT / "jobsim" / "pytest_plugin.py").read_text(encoding="utf-8")
    fixtures = re.findall(r"^@pytest.fixture.*\ndef (jobsim_\w+)", source, re.MULTILINE)
    assert len(fixtures) == 7
    assert all(f"`{name}`" in PAGE for name in fixtures)
    assert all(f"--jobsim-{name}" in PAGE for name in ("storage", "crash", "seed", "postgres-dsn", "replay"))
    settings = jobsim.testing.everywhere.Settings.__annotations__
    assert all(f"`{name}=" in PAGE for name in settings)
