"""A storm: processes on one store that are killed without a warning, by the dozen a second, until enough are.

A parent that has everything imported forks workers and enqueuers, so that a life begins within milliseconds;
it opens nothing itself before the storm is over. Whoever dies is replaced. In the end all that is left is
worked off, and the history is judged: by the rules of `jobsim.testing.invariants`, and against what every
process was told before it was killed.

    python -m jobsim.testing.storm URL DIRECTORY KILLS SEED

prints the toll as JSON. The database must be empty, and the directory the storm's own.
"""

import gc
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from jobsim.core.errors import StorageUnavailable
from jobsim.core.job import State
from jobsim.core.streams import Streams
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import FINAL, Kind
from jobsim.live.stores import Address
from jobsim.runtime.live import elapsed, pause
from jobsim.storage.base import Storage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.clients import Clients, WatchedStorage
from jobsim.testing.invariants import check
from jobsim.testing.journals import Journal, read
from jobsim.testing.storm_lives import (
    Death,
    Fate,
    arm,
    batch,
    deliver,
    die,
    enqueue,
    fate,
    number_of,
    script,
    unresolved,
    work,
    worker,
)

WORKERS: Final = 3
ENQUEUERS: Final = 2
BACKLOG: Final = 100
"""How many jobs may wait before enqueuers do."""

_SHOWN: Final = 5
_MOMENT: Final = Duration(20 * MILLISECOND)
_CALM: Final = Duration(60 * SECOND)


class Life(NamedTuple):
    """A process: its number from 1, the seat it took, how it is to end, and when at the latest."""

    number: int
    seat: int
    fate: Fate
    until: Instant


@dataclass(slots=True)
class Toll:
    """What a storm did: lives ended, by how they were to; jobs, events; and what is wrong with the history.

    `gave_up` counts processes that ended by themselves, as those do whose store is away for too long;
    `resent` the jobs of which a client heard by sending them again; `crashed_to_death` those that were buried
    because their workers died.
    """

    kills: dict[str, int] = field(default_factory=dict)
    gave_up: int = 0
    jobs: int = 0
    events: int = 0
    resent: int = 0
    crashed_to_death: int = 0
    violations: list[str] = field(default_factory=list)


class Storm:
    """Forks, kills and replaces processes on the store at `url` until `kills` have died; then it judges.

    Only a process with a single thread may call it, as it forks.
    """

    def __init__(self, url: str, place: Path, kills: int, seed: int) -> None:
        self.toll = Toll()
        self._address = Address.of(url)
        self._place = place
        self._kills = kills
        self._streams = Streams(seed)
        self._living: dict[int, Life] = {}
        self._born = 0
        self._last: dict[int, list[int]] = {seat: [] for seat in range(WORKERS + ENQUEUERS)}

    def run(self) -> Toll:
        """Let it rage, and return what came of it."""
        _warm_up()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        try:
            while sum(self.toll.kills.values()) < self._kills:
                self._fill_seats()
                self._wait()
        finally:
            self._end_all()
        self._judge()
        return self.toll

    def open(self) -> Storage:
        """Return the store, opened by the process that asks."""
        return self._address.open()

    def _fill_seats(self) -> None:
        taken = {life.seat for life in self._living.values()}
        for seat in range(WORKERS + ENQUEUERS):
            if seat not in taken:
                self._begin(seat)

    def _begin(self, seat: int) -> None:
        self._born += 1
        end = fate(self._streams, self._born, statements=not self._address.on_server)
        life = Life(self._born, seat, end, Instant(elapsed() + end.within))
        pid = os.fork()
        if pid == 0:
            self._live(life)
        self._living[pid] = life
        self._last[seat].append(life.number)

    def _live(self, life: Life) -> None:
        """Live a life in a process of its own, from which nothing returns."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        try:
            arm(life.fate)
            journal = Journal(self._journal(life.number))
            storage = WatchedStorage(self.open(), journal, script(life.fate), crash=die)
            if life.seat < WORKERS:
                work(storage, self._streams)
            else:
                enqueue(storage, journal, life.seat, self._streams, BACKLOG, self._earlier(life.seat))
        except BaseException:  # noqa: BLE001  # whatever it is, the parent goes on without this process
            traceback.print_exc()
        finally:
            os._exit(1)

    def _wait(self) -> None:
        """Wait until somebody has died, and end those whose time is up."""
        now = elapsed()
        left = min(life.until for life in self._living.values()) - now
        if left > 0:
            signal.sigtimedwait([signal.SIGCHLD], left / SECOND)
        now = elapsed()
        overdue = {pid for pid, life in self._living.items() if life.until <= now}
        for pid in overdue:
            os.kill(pid, signal.SIGKILL)
        for pid, status in self._ended():
            life = self._living.pop(pid)
            death = Death.AT_RANDOM if pid in overdue else life.fate.death
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                self.toll.kills[death] = self.toll.kills.get(death, 0) + 1
            else:
                self.toll.gave_up += 1

    def _ended(self) -> Iterator[tuple[int, int]]:
        while self._living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            yield pid, status

    def _end_all(self) -> None:
        for pid in self._living:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._living.clear()

    def _journal(self, number: int) -> Path:
        return self._place / f"{number}.journal"

    def _earlier(self, seat: int) -> Clients:
        """Return what the last who had a seat, and had begun to speak, was told."""
        journals = map(self._journal, reversed(self._last[seat]))
        spoken = (path for path in journals if path.exists() and path.stat().st_size)
        return read(path for path in [next(spoken, None)] if path)

    def _judge(self) -> None:
        journal = Journal(self._journal(0))
        with closing(self._opened()) as bare:
            storage = WatchedStorage(bare, journal)
            self._resolve(storage, journal)
            drain(storage, self._streams)
            clients = read(sorted(self._place.glob("*.journal")))
            events = list(bare.events())
            jobs = bare.find()
        found = check(events, accepted=clients.accepted, offered=clients.offered, jobs=jobs, drained=True)
        found += clients.agreement(events)
        self.toll.jobs, self.toll.events = len(jobs), len(events)
        self.toll.crashed_to_death = sum(
            job.state is State.DEAD_LETTER and (job.last_error or "").startswith("jobsim.Lost")
            for job in jobs
        )
        asked = {told.job for told in clients.told if told.kind is Kind.ENQUEUE and told.kept is None}
        self.toll.resent = len(asked & clients.accepted)
        self.toll.violations = [str(wrong) for wrong in found[:_SHOWN]]

    def _opened(self) -> Storage:
        """Return the store, though its server may just come back."""
        end = elapsed() + _CALM
        while True:
            try:
                return self.open()
            except StorageUnavailable:
                if elapsed() > end:
                    raise
                pause(_MOMENT)

    def _resolve(self, storage: Storage, journal: Journal) -> None:
        """Send again what the last enqueuers never heard of."""
        for seat in range(WORKERS, WORKERS + ENQUEUERS):
            for number in sorted({number_of(job) for job in unresolved(self._earlier(seat))}):
                deliver(storage, journal, batch(seat, number, self._streams))


def _warm_up() -> None:
    """Import and prepare all that lives need, and leave no thread behind."""
    from jobsim.storage.postgres import PostgresStorage  # noqa: F401

    logging.disable()  # handlers fail on purpose
    with closing(SqliteStorage(":memory:")) as storage:
        deliver(storage, Clients(), batch(0, 1, Streams(0)))
        drain(storage, Streams(0))
    gc.collect()
    gc.freeze()  # what never changes need not be looked at, and so copied, by every child


def drain(storage: Storage, streams: Streams) -> None:
    """Let one worker do all that is left, for a minute at most."""
    last = worker(storage, streams, 16, "5s").start()
    end = elapsed() + _CALM
    while elapsed() < end and not _all_final(storage):
        pause(_MOMENT)
    last.stop()
    last.wait()


def _all_final(storage: Storage) -> bool:
    try:
        return all(state in FINAL for state, number in storage.counts().items() if number)
    except StorageUnavailable:
        return False


def main(storm: Storm) -> None:
    """Let a storm rage, and print its toll."""
    sys.stdout.write(json.dumps(asdict(storm.run())))


if __name__ == "__main__":
    address, directory, number, key = sys.argv[1:]
    main(Storm(address, Path(directory), int(number), int(key)))
