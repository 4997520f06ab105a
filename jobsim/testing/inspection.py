"""Judges a whole log, or a database that others use, in memory that does not grow with the events.

A first pass keeps of each job where it stands, and of one that has ended its id; a second one judges the few
jobs that something is wrong with, event by event.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Final

from jobsim.core.events import Event, Standing, standing
from jobsim.core.job import JobId
from jobsim.core.transitions import FINAL, Kind
from jobsim.storage.base import Auditable, Storage
from jobsim.testing.invariants import History, Violation

MANY: Final = 1_000
"""Jobs that are looked at more closely, at most."""

PAGE: Final = 100
"""Jobs that a store is asked for at a time: their payloads may be long."""

_TRIES: Final = 20
_OF_THE_LOG: Final = frozenset({"well_formed", "in_order"})
_FOR_GOOD: Final = frozenset({Kind.SUCCEED, Kind.CANCEL})


@dataclass(frozen=True, slots=True)
class Inspection:
    """How much was looked at, and which rules are `broken`, the first first; there may be `more`."""

    events: int
    jobs: int
    broken: tuple[Violation, ...]
    more: bool


def inspect_log(events: Callable[[], Iterable[Event]], *, drained: bool = False) -> Inspection:
    """Return what is wrong with the log that `events` yields, each time it is called.

    `drained` says that workers ran until nothing was left.
    """
    sieve = _Sieve()
    for event in events():
        sieve.add(event)
    if drained:
        sieve.suspect_unfinished()
    suspects, history, found = sieve.chosen(), History(), list[Violation]()
    for event in events() if suspects else ():
        if event.job in suspects:
            found += history.add(event)
    return sieve.told([*found, *(history.liveness() if drained else ())], history.of)


def inspect_store(storage: Storage, pause: Callable[[], None], *, drained: bool = False) -> Inspection:
    """Return what is wrong with the log of a store, which of its jobs are not as that says, and its damage.

    Others may use it meanwhile: what differs is looked at again, after a `pause`, and counts if it stays so.
    A job that nothing is logged of is found unless jobs are pruned just then.

    Raises:
        StorageError: it cannot be read.
    """
    sieve = _Sieve()
    stored = sum(storage.counts().values())  # before the log is read, which then knows of all of them
    ended = ((event.job, now) for event in storage.events() if (now := sieve.add(event)) is not None)
    sieve.suspect(_differing(storage, ended))
    sieve.suspect(_differing(storage, sieve.standings.items()))
    if drained:
        sieve.suspect_unfinished()
    if stored > sieve.jobs:
        sieve.suspect(job.id for job in storage.find() if not sieve.knows(job.id))
    found = _looked_at(storage, sieve.chosen(), pause, drained=drained)
    damage = storage.damage() if isinstance(storage, Auditable) else ()
    found += [Violation("undamaged", None, problem) for problem in damage]
    return sieve.told(found, lambda job: storage.events(job=job))


def _looked_at(
    storage: Storage, jobs: Iterable[JobId], pause: Callable[[], None], *, drained: bool
) -> list[Violation]:
    """Return what is wrong with `jobs`, and stays so."""
    found, doubtful = list[Violation](), list(jobs)
    for left in reversed(range(_TRIES)):
        judged = {job: _judged(storage, job, drained=drained) for job in doubtful}
        doubtful = [job for job, wrong in judged.items() if left and any(map(_may_pass, wrong))]
        found += [v for job, wrong in judged.items() if job not in doubtful for v in wrong]
        if not doubtful:
            break
        pause()
    return found


def _may_pass(wrong: Violation) -> bool:
    """Return whether something may have happened to the job between two looks."""
    return wrong.rule == "log_equals_state"


def _differing(storage: Storage, told: Iterable[tuple[JobId, Standing]]) -> Iterator[JobId]:
    """Yield the jobs that the store has otherwise than the log `told`."""
    left = iter(told)
    while page := list(islice(left, PAGE)):
        stored = storage.get_many([job for job, _ in page])
        for (job, now), kept in zip(page, stored, strict=True):
            if kept is None or standing(kept) != now:
                yield job


def _judged(storage: Storage, job: JobId, *, drained: bool) -> list[Violation]:
    """Return what is wrong with one job just now; nothing, if it was pruned."""
    history, found = History(), list[Violation]()
    for event in storage.events(job=job):
        found += history.add(event)
    kept = storage.get(job)
    found += history.log_equals_state([] if kept is None else [kept])
    return [*found, *(history.liveness() if drained else ())]


class _Sieve:
    """Finds the jobs that something may be wrong with, and what is wrong with the log as a whole."""

    def __init__(self) -> None:
        self.events = self.jobs = 0
        self._history = History(keeps_events=False)
        self._ended: set[JobId] = set()
        self._suspects: dict[JobId, None] = {}
        self._of_the_log: list[Violation] = []
        self._more = False

    @property
    def standings(self) -> dict[JobId, Standing]:
        """Where the jobs stand that something may still happen to."""
        return self._history.standings

    def add(self, event: Event) -> Standing | None:
        """Take in the next event; return where its job stands if it has ended for good."""
        self.events += 1
        self.jobs += event.kind is Kind.ENQUEUE
        if event.job in self._ended:
            if event.kind is not Kind.REFUSE:
                self.suspect([event.job])
            return None
        for wrong in self._history.add(event):
            self._note(wrong, event)
        if event.kind not in _FOR_GOOD:
            return None
        now = self.standings.get(event.job)
        self._history.forget(event.job)
        self._ended.add(event.job)
        return now

    def _note(self, wrong: Violation, event: Event) -> None:
        if wrong.rule in _OF_THE_LOG and len(self._of_the_log) < MANY:
            self._of_the_log.append(replace(wrong, history=(event,)))
        self.suspect([event.job])

    def suspect(self, jobs: Iterable[JobId]) -> None:
        """Something may be wrong with `jobs`."""
        for job in jobs:
            if len(self._suspects) < MANY:
                self._suspects[job] = None
            else:
                self._more |= job not in self._suspects

    def suspect_unfinished(self) -> None:
        """Something is wrong with jobs that have not ended."""
        self.suspect(job for job, now in self.standings.items() if now.state not in FINAL)

    def knows(self, job: JobId) -> bool:
        """Return whether the log tells of a job."""
        return job in self._ended or job in self.standings

    def chosen(self) -> dict[JobId, None]:
        """Return the jobs to look at more closely."""
        return self._suspects

    def told(self, found: list[Violation], events_of: Callable[[JobId], Iterable[Event]]) -> Inspection:
        """Return what came of it, where the jobs looked at more closely broke the rules that were `found`."""
        broken = [wrong for wrong in found if wrong.rule not in _OF_THE_LOG]
        broken += [_with_past(wrong, events_of) for wrong in self._of_the_log]
        return Inspection(self.events, self.jobs, tuple(sorted(broken, key=_place)), self._more)


def _with_past(wrong: Violation, events_of: Callable[[JobId], Iterable[Event]]) -> Violation:
    """Return `wrong`, which knows of one event, with those before it."""
    if wrong.job is None:
        return wrong
    [event] = wrong.history
    past = tuple(takewhile(lambda e: e != event, events_of(wrong.job)))
    return replace(wrong, history=(*past, event))


def _place(wrong: Violation) -> float:
    return wrong.history[-1].seq if wrong.history else math.inf
