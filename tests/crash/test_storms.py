"""Storms of SIGKILL over workers and enqueuers: of what anybody was told, nothing is lost."""

import itertools
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg  # noqa: TID251  # it finds the server's processes, to end one
import pytest

from jobsim.testing.postgres_server import PostgresServer
from tests.campaigns import record
from tests.crash.storms import toll

pytestmark = pytest.mark.live

KILLS = 1_000
"""In each storm of the campaigns."""

SOAK = 20
"""Storms on SQLite."""

SOAK_ON_SERVER = 5
CRASHES = 10
"""Server crashes in each storm on PostgreSQL, at least."""


def check(found: dict[str, Any], *, away: bool = False) -> None:
    """See that nothing is wrong, and that the storm was one; `away`: the store was so now and then."""
    assert found["violations"] == []
    assert away or found["gave_up"] == 0
    assert found["jobs"] > 0
    assert found["resent"] > 0


def test_storm_over_sqlite_loses_nothing(tmp_path: Path) -> None:
    """Workers and enqueuers die at random, around storage calls and between statements."""
    found = toll(f"sqlite:///{tmp_path}/jobs.db", tmp_path / "storm", 120, seed=1)
    check(found)
    assert {"at random", "before a call", "after a call", "before a statement"} == found["kills"].keys()


def test_storm_over_postgres_loses_nothing(tmp_path: Path, postgres: str, schema: str) -> None:
    """So they do on a server, which notices by itself that they are gone."""
    found = toll(f"{postgres}&schema={schema}", tmp_path / "storm", 60, seed=1)
    check(found)
    assert {"at random", "before a call", "after a call"} == found["kills"].keys()


def test_storm_finds_a_store_that_acknowledges_too_early(tmp_path: Path) -> None:
    """Jobs that were acknowledged and not yet committed are missed, and named."""
    script = str(Path(__file__).with_name("hasty_storm.py"))
    found = toll(f"sqlite:///{tmp_path}/jobs.db", tmp_path / "storm", 30, 1, script)
    assert any("accepted, yet the log does not know it" in wrong for wrong in found["violations"])


def note(campaign: str, found: dict[str, Any], began: float, **more: float) -> None:
    """Write the figures of a storm down."""
    figures = {name: found[name] for name in ("jobs", "events", "resent", "gave_up")}
    kills, lost = sum(found["kills"].values()), len(found["violations"])
    record(campaign, kills=kills, **figures, **more, violations=lost, seconds=time.monotonic() - began)  # noqa: TID251


@pytest.mark.soak
def test_sqlite_survives_twenty_thousand_kills(tmp_path: Path) -> None:
    """The same at length, each thousand on a file of its own."""
    deaths = Counter[str]()
    for number in range(SOAK):
        began = time.monotonic()  # noqa: TID251  # a rate is to be told
        place = tmp_path / str(number)
        found = toll(f"sqlite:///{tmp_path}/{number}.db", place, KILLS, seed=100 + number)
        note("SIGKILL on SQLite", found, began)
        check(found)
        deaths.update(found["kills"])
    assert deaths.total() >= SOAK * KILLS


def crash_backend(server: PostgresServer) -> None:
    """Kill a process that serves a connection: the server ends all others, and recovers by itself."""
    others = (
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    with (
        suppress(psycopg.Error, ProcessLookupError),
        psycopg.connect(server.dsn, autocommit=True) as connection,
    ):
        for (pid,) in connection.execute(others).fetchmany(1):
            os.kill(pid, signal.SIGKILL)


def crash_server(server: PostgresServer) -> None:
    """Kill the server and all its processes, and start it again."""
    server.kill()
    server.start()


def stop_server(server: PostgresServer) -> None:
    """Stop the server immediately, which is a crash it has heard of, and start it again."""
    server.stop(at_once=True)
    server.start()


def crash_again_and_again(
    server: PostgresServer,
    ways: Iterator[Callable[[PostgresServer], None]],
    place: Path,
    crashes: Counter[str],
    storm: "subprocess.Popen[bytes]",
) -> None:
    """Crash the server in one way after the other until the storm is over, and count that in `crashes`."""
    while storm.poll() is None and not (place / "0.journal").exists():
        way = next(ways)
        way(server)
        crashes[way.__name__] += 1
        time.sleep(1.5)  # noqa: TID251  # the storm is at it


@pytest.mark.soak
def test_postgres_survives_five_thousand_kills_and_fifty_crashes_of_its_own(
    tmp_path: Path, make_server: Callable[[], PostgresServer], schema: str
) -> None:
    """The same at length on a server that is killed, too, as a whole or one of its processes."""
    ways = itertools.cycle([crash_backend, crash_server, stop_server])
    with make_server() as server:
        for number in range(SOAK_ON_SERVER):
            place, crashes = tmp_path / str(number), Counter[str]()
            disturb = partial(crash_again_and_again, server, ways, place, crashes)
            began = time.monotonic()  # noqa: TID251
            url = f"{server.dsn}&schema={schema}_{number}"
            found = toll(url, place, KILLS, 200 + number, meanwhile=disturb)
            note("SIGKILL on PostgreSQL", found, began, crashes=crashes.total())
            check(found, away=True)
            assert crashes.total() >= CRASHES
