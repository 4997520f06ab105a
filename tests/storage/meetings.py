"""Two calls that meet on PostgreSQL: the second is made when the first has written all but its commit.

What comes of it has to be what comes of one after the other, in either order, on a store that has no
transactions. A claim passes over what another call is just changing: there, each job is judged by itself.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import Any, Final, NamedTuple, Self

from jobsim.core.budget import Budget
from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageError
from jobsim.core.events import Event
from jobsim.core.job import Conflict, JobId, Lease, State
from jobsim.core.limits import NO_LIMIT, By, Limit, Scope
from jobsim.core.time import Instant
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_session import Session
from jobsim.testing.conformance_base import (
    ANN,
    BOB,
    BURY,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    job_id,
    lose,
    new,
    retry,
)
from jobsim.testing.invariants import check

Leases = Mapping[int, Lease]
Call = Callable[[Storage, Leases], Any]
"""A call on a store, given the leases of jobs 4 to 8, of which the last two are over."""

Terms = Mapping[Scope, Limit]

NOW: Final = at(10)
MAIL: Final = Scope(By.KIND, "mail")
FREE: Final[Terms] = {}
LIMITED: Final[Terms] = {MAIL: Limit(running=5)}
GUARDED: Final[Terms] = {MAIL: Limit(budget=Budget(capacity=1, first_try=0))}

_TABLES: Final = ("job", "content", "result", "event", "limits", "guard", "paused")
_BLOCKED: Final = """SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'second' AND pg_blocking_pids(pid) <> '{}'"""


def _claim(limit: int) -> Call:
    return lambda storage, _: storage.claim(BOB, QUEUES, limit, MINUTE, NOW)


def _exchange(limit: int) -> Call:
    return lambda s, held: s.exchange([Settlement(held[5], SUCCEED)], BOB, QUEUES, limit, MINUTE, NOW)


CALLS: Final[Mapping[str, Call]] = {
    "enqueue": lambda s, _: add(s, new(20), new(21, unique_key="c"), now=NOW),
    "enqueue the same key": lambda s, _: add(s, new(22, unique_key="c"), now=NOW),
    "replace": lambda s, _: add(s, new(23, unique_key="a", conflict=Conflict.REPLACE), now=NOW),
    "take the key of a dead letter": lambda s, _: add(s, new(24, unique_key="b"), now=NOW),
    "claim two": _claim(2),
    "claim": _claim(9),
    "succeed": lambda s, held: s.settle([Settlement(held[4], SUCCEED)], NOW),
    "retry": lambda s, held: s.settle([Settlement(held[n], retry(NOW)) for n in (4, 5)], NOW),
    "retry another": lambda s, held: s.settle([Settlement(held[6], retry(NOW))], NOW),
    "lose": lambda s, held: s.settle([Settlement(held[4], lose(at(61)))], at(61)),
    "extend": lambda s, held: s.extend([held[4], held[5]], at(90), NOW),
    "settle late": lambda s, held: s.settle([Settlement(held[8], SUCCEED)], NOW),
    "exchange": _exchange(1),
    "cancel": lambda s, _: s.cancel([job_id(n) for n in (1, 3, 4, 7)], NOW),
    "requeue": lambda s, _: s.requeue([job_id(7)], NOW),
    "prune": lambda s, _: s.prune([State.SUCCEEDED, State.DEAD_LETTER], at(5), 9),
    "pause": lambda s, _: s.pause("default"),
    "limit": lambda s, _: s.set_limits({MAIL: Limit(running=4)}),
}
"""All calls that write, in what they may have in common: a job, a key, a limit, a budget."""

_ALL: Final[Mapping[str, Call]] = {"claim two": _claim(9), "exchange": _exchange(9)}
_CLAIMS: Final = frozenset(("claim", "claim two", "exchange"))
_PATIENT: Final = frozenset(("pause", "limit"))
"""Calls beside which there is no other, so that even a claim waits for them."""

_ENDS: Final = ("exchange", "succeed", "retry", "retry another", "lose", "cancel", "limit")
_MET: Final[Sequence[tuple[Terms, Sequence[str]]]] = (
    (FREE, tuple(CALLS)),
    (LIMITED, ("claim two", "claim", "replace", *_ENDS)),
    (GUARDED, _ENDS),
)
"""Under which terms which calls are to meet."""


class Outcome(NamedTuple):
    """What came of two calls: of each job and each of the rest its part, and what is wrong in itself."""

    parts: Mapping[object, object]
    problems: Sequence[str] = ()


def prepare(storage: Storage, terms: Terms) -> Leases:
    """Fill a store: 1 to 3 and 9 to 11 wait, 4 to 6 run, 7 is a dead letter, and 8 has succeeded."""
    add(
        storage, new(1), new(2, unique_key="a"), new(3, run_at=at(5)), new(9, run_at=at(99)), new(10), new(11)
    )
    add(storage, *(new(n, priority=1, unique_key="b" if n == 7 else None) for n in range(4, 9)))
    held = dict(zip(range(4, 9), storage.claim(ANN, QUEUES, 5, MINUTE, at(0)), strict=True))
    storage.settle([Settlement(held[7], BURY), Settlement(held[8], SUCCEED)], at(0))
    storage.set_limits(terms)
    return held


def outcome(storage: Storage, events: Iterable[Event], answers: Sequence[Any]) -> Outcome:
    """Return what there is to see, after calls that were answered so."""
    events, jobs = list(events), storage.find()
    histories = defaultdict[JobId, list[Event]](list)
    for event in events:
        histories[event.job].append(replace(event, seq=0))
    given = defaultdict[JobId, list[tuple[int, Lease]]](list)
    parts: dict[object, object] = {"paused": storage.paused(), "limits": storage.limits()}
    parts["tallies"] = storage.tallies()
    for number, answer in enumerate(answers):
        parts["answer", number], leases = _split(answer)
        for lease in leases:
            given[lease.id].append((number, lease._replace(key=0)))
    for job in jobs:
        parts[job.id] = job, histories.pop(job.id, []), given[job.id]
    parts |= {("no job", id_): history for id_, history in histories.items()}
    return Outcome(parts, [str(violation) for violation in check(events, jobs=jobs)])


def _split(answer: Any) -> tuple[Any, list[Lease]]:
    """Return an answer without its leases, and these; when the next job is due is left out."""
    match answer:
        case [*_] if answer and isinstance(answer[0], Lease):
            return None, answer
        case ([*settled], [*leases], _):
            return settled, leases
        case []:
            return None, []
        case _:
            return answer, []


def serial(terms: Terms, *order: tuple[int, Call]) -> Outcome:
    """Return what comes of calls one after the other; the numbers say which is the first of the two."""
    storage = MemoryStorage()
    held = prepare(storage, terms)
    answers = {number: _answer(call, storage, held) for number, call in order}
    return outcome(storage, storage.events(), [answer for _, answer in sorted(answers.items())])


def _answer(call: Call, storage: Storage, held: Leases) -> Any:
    try:
        return call(storage, held)
    except StorageError as error:
        return type(error).__name__


class Meetings:
    """Two processes on one schema, and a third that looks at them; enter it, and leave it.

    `prepare` fills the store, and returns what the calls are given.
    """

    def __init__(self, dsn: str, schema: str) -> None:
        self._first = PostgresStorage(dsn, schema=schema)
        self._second = PostgresStorage(f"{dsn}&application_name=second", schema=schema)
        self._monitor = self._first._database._connections.single()
        self.made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._monitor.close()
        self._second.close()
        self._first.close()

    def meet(self, first: str, second: str, terms: Terms = FREE) -> list[str]:
        """Let two calls meet, and return what is wrong with what came of it."""
        self.made += 1
        one, other = CALLS[first], CALLS[second]
        began, held = self._emptied(), prepare(self._first, terms)
        with ThreadPoolExecutor(2) as threads, _all_but_committed(self._first) as (written, go_on):
            try:
                answers = [threads.submit(_answer, one, self._first, held)]
                answers[0].add_done_callback(lambda _: written.set())
                assert written.wait(60)
                answers.append(threads.submit(_answer, other, self._second, held))
                waits = self._waits(answers[1])
                seen = list(self._first.events(after=began))
            finally:
                go_on.set()
            told = [answer.result() for answer in answers]
        events, after = list(self._first.events(after=began)), seen[-1].seq
        found = outcome(self._first, events, told)
        problems = [*found.problems, *self._first.damage()]
        if {event.seq for event in events} - {e.seq for e in (*seen, *self._first.events(after=after))}:
            problems.append("a reader who goes on from what it has seen misses an event")
        if waits and second.startswith("claim") and not terms and first not in _PATIENT:
            problems.append("a claim waits for another call")
        problems += self._passed_limits()
        return problems + _contradictions(found, first, second, terms)

    def _passed_limits(self) -> list[str]:
        """Return whether more run than the limit in force says, once all is claimed that can be."""
        most = self._first.limits().get(MAIL, NO_LIMIT).running
        more = self._first.claim(ANN, QUEUES, 99, MINUTE, NOW)
        running = self._first.counts()[State.RUNNING]
        passed = most is not None and running > most and (more or most == LIMITED[MAIL].running)
        return ["more run than the limit says"] if passed else []

    def _emptied(self) -> int:
        """Empty the store, and return the number of the last event."""
        schema = self._first.schema
        tables = ", ".join(f'"{schema}".{name}' for name in _TABLES)
        self._monitor.execute(f"TRUNCATE {tables}".encode())
        [(last,)] = self._monitor.execute(f'SELECT last_value FROM "{schema}".event_seq'.encode())
        return int(last)

    def _waits(self, answer: "Future[Any]") -> bool:
        """Return whether a call waits for another, once it does or has been answered."""
        while not answer.done():
            if self._monitor.execute(_BLOCKED).rowcount:
                return True
        return False


@contextmanager
def _all_but_committed(storage: PostgresStorage) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Have each transaction of a store say that it has written all, and wait until it may commit."""
    written, go_on = threading.Event(), threading.Event()
    write = storage._database.write

    def slowly(work: Callable[..., Callable[[], Any]], now: Instant, *args: Any) -> Any:
        def late(session: Session, now: Instant, *args: Any) -> Callable[[], Any]:
            reply = work(session, now, *args)

            def answer() -> Any:
                value = reply()
                session.run("number").fetchall()
                written.set()
                assert go_on.wait(60)
                return value

            return answer

        return write(late, now, *args)

    storage._database.write = slowly  # type: ignore[method-assign, assignment]
    try:
        yield written, go_on
    finally:
        del storage._database.write


def _contradictions(found: Outcome, first: str, second: str, terms: Terms) -> list[str]:
    """Return in what an outcome is that of neither order."""
    one, other = (0, CALLS[first]), (1, CALLS[second])
    orders = [serial(terms, one, other), serial(terms, other, one)]
    if any(found.parts == order.parts for order in orders):
        return []
    if not {first, second} & _CLAIMS:
        return ["together it is the outcome of neither order"]
    # What a claim passed over stays as if there were none; what it takes in place of that, as if it took all.
    alone = [serial(terms, one), serial(terms, other)]
    most = (0, _ALL.get(first, one[1])), (1, _ALL.get(second, other[1]))
    alone += [serial(FREE, *most), serial(FREE, *reversed(most))]
    keys = found.parts.keys() | orders[0].parts.keys()
    strange = (key for key in keys if all(found.parts.get(key) != o.parts.get(key) for o in orders + alone))
    return [f"{key}: {found.parts.get(key)} is of neither order" for key in strange]


def pairs() -> Iterator[tuple[str, str, Terms]]:
    """Yield all meetings that there are to look at."""
    for terms, calls in _MET:
        for first, second in product(calls, repeat=2):
            yield first, second, terms
