"""The plugin of pytest: options, fixtures and a summary for tests of jobs.

Every run of pytest loads it, whether it tests jobs or not: it imports little.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from jobsim.core.errors import ConfigError
from jobsim.testing.options import STORAGES, Options, in_force, put_in_force, searching
from jobsim.testing.points import Token

if TYPE_CHECKING:
    from jobsim.testing.app import App, Clock, Rehearsed
    from jobsim.testing.injector import Injector

_STORAGE: Final = (
    "kinds of store for tests that name none: memory (the default), sqlite, postgres; several by commas"
)
_CRASH: Final = (
    "which crashes to try: all (the default), off, or sample:N of each test, store and number of deaths"
)
_SEED: Final = "seed of ids, delays and samples (default: 1)"
_DSN: Final = (
    "a PostgreSQL server and database for tests; without one, a server is started if it is installed"
)
_REPLAY: Final = "make the one run that a failure named"
_NOT_MET: Final = (
    "--jobsim-replay={}: with none of the input of this test a worker reached that point: nothing was "
    "replayed. Give Hypothesis the input of the failure by @example(...); or, if the code has changed since, "
    "run the test without --jobsim-replay"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and those of the ini-file that go by the same names."""
    group = parser.getgroup("jobsim", "jobs, and workers that die (jobsim)")
    for name, text in {"storage": _STORAGE, "crash": _CRASH, "seed": _SEED, "postgres-dsn": _DSN}.items():
        key = f"jobsim_{name.replace('-', '_')}"
        group.addoption(f"--jobsim-{name}", dest=key, default=None, help=text)
        parser.addini(key, text, default="")
    group.addoption("--jobsim-replay", dest="jobsim_replay", default="", metavar="TOKEN", help=_REPLAY)


def pytest_configure(config: pytest.Config) -> None:
    """Put the options in force, until the run is over."""

    def said(name: str) -> str:
        return str(config.getoption(f"jobsim_{name}") or config.getini(f"jobsim_{name}")).strip()

    try:
        options = Options.of(
            storage=said("storage"),
            crash=said("crash"),
            seed=said("seed"),
            dsn=said("postgres_dsn"),
            replay=config.getoption("jobsim_replay"),
            root=str(config.rootpath),
            here=str(config.invocation_params.dir),
        )
        if options.replay:
            Token.parse(options.replay, STORAGES)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    entered = ExitStack()
    entered.enter_context(put_in_force(options))
    config.add_cleanup(entered.close)


def pytest_report_header() -> str:
    """Return what is in force."""
    return f"jobsim: {in_force()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Fail a test that never came to the run which it was to replay: it has shown nothing."""
    with searching() as search:
        result = yield
        if in_force().replay and search.missed and not search.met:
            pytest.fail(_NOT_MET.format(in_force().replay), pytrace=False)
        return result


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Say how many crashes were tried."""
    ends = [report for name in ("passed", "failed") for report in terminalreporter.getreports(name)]
    told = [
        dict(report.user_properties)
        for report in ends
        if report.when == "call" and not hasattr(report, "context")
    ]
    counts = [(each["jobsim_crashes"], each["jobsim_left"]) for each in told if "jobsim_crashes" in each]
    if counts:
        met, left = (sum(column) for column in zip(*counts, strict=True))
        more = f"; left out: {left}" if left else ""
        terminalreporter.write_line(f"jobsim: crashes tried: {met}, in tests: {len(counts)}{more}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use a store once on each of those asked for."""
    if "_jobsim_storage" in metafunc.fixturenames and len(in_force().storages) > 1:
        metafunc.parametrize("_jobsim_storage", in_force().storages)


@pytest.fixture
def jobsim_queue() -> "Rehearsed | None":
    """The queue whose jobs are tested: override this to return yours. Else tests register handlers."""
    return None


@pytest.fixture
def _jobsim_storage() -> str:
    """One of the stores asked for: not in use where a test says itself what `jobsim_storage` is."""
    return in_force().storages[0]


@pytest.fixture
def jobsim_storage(_jobsim_storage: str) -> str:
    """The kind of store that `jobsim_app` is on: memory, sqlite or postgres."""
    return _jobsim_storage


@pytest.fixture(scope="session")
def jobsim_postgres_dsn() -> Iterator[str]:
    """Where a PostgreSQL server is, and a database: the one that was named, or one started for this run."""
    if in_force().dsn:
        yield in_force().dsn
        return
    from jobsim.testing.postgres_server import UNSAFE_BUT_FAST, PostgresServer, find_binaries

    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install its server, or name one by --jobsim-postgres-dsn")
    with PostgresServer(binaries, UNSAFE_BUT_FAST) as server:
        yield server.dsn


@pytest.fixture(scope="session")
def jobsim_app_factory() -> "Callable[..., AbstractContextManager[App]]":
    """Return what makes apps, to be entered: for tests that need several, as those of Hypothesis do.

    It takes a queue, or none, and ``storage``, ``seed``, ``lease`` and ``dsn``.
    """
    from jobsim.testing.app import staged

    return staged


@pytest.fixture
def jobsim_app(
    request: pytest.FixtureRequest, jobsim_queue: "Rehearsed | None", jobsim_storage: str
) -> "Iterator[App]":
    """The app: `jobsim_queue` on an empty store, or handlers that the test registers, and a clock."""
    from jobsim.testing.app import staged

    dsn = request.getfixturevalue("jobsim_postgres_dsn") if jobsim_storage == "postgres" else ""
    with staged(jobsim_queue, storage=jobsim_storage, seed=in_force().seed, dsn=dsn) as app:
        yield app
        app.check()


@pytest.fixture
def jobsim_clock(jobsim_app: "App") -> "Clock":
    """The clock of `jobsim_app`: ``advance("5m")`` runs what becomes due, ``now`` is what it shows."""
    from jobsim.testing.app import Clock

    return Clock(jobsim_app)


@pytest.fixture
def jobsim_faults(jobsim_app: "App") -> "Iterator[Injector]":
    """What befalls the workers of `jobsim_app`: see `befall` and `kill_worker` of `Injector`.

    What was to befall them, and did not, fails the test.
    """
    injector = jobsim_app.injector
    yield injector
    if injector.idle:
        met = ", ".join(dict.fromkeys(point.name for point in injector.reached)) or "no point"
        pytest.fail(f"nothing came of {', '.join(injector.idle)}: workers reached {met}", pytrace=False)
