"""The history checker: what must hold of every event log, of a simulation and of a live database alike.

Record what happened, then judge: the idea is Jepsen's. Each rule of `jobsim.testing.rules` is asked of every
event, so that a history of any length is checked in one pass, also while it grows.
"""

import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from jobsim.core.events import Event, Standing, standing, step
from jobsim.core.job import Job, JobId
from jobsim.core.time import Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, Kind
from jobsim.testing.rules import RULES, Rule, span, well_formed

_SOURCES: Final = {kind: state for (state, kind) in TRANSITIONS}
_COLUMNS: Final = "  {:>6}  {:>12}  {:<12} attempt {}/{} token {}{}{} {}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold: of which job, what is wrong, and all that was known of the job then."""

    rule: str
    job: JobId | None
    problem: str
    history: tuple[Event, ...] = ()

    def __str__(self) -> str:
        where = "" if self.job is None else f" job {self.job}:"
        return "\n".join([f"{self.rule}:{where} {self.problem}", *_lines(self.history)])


def _lines(history: tuple[Event, ...]) -> Iterator[str]:
    for e in history:
        since = history[0].at
        by = "" if e.worker is None else f" by {e.worker}"
        due = "" if e.due is None else f" due {span(e.due - since)}"
        why = " ".join(filter(None, e.why))
        line = _COLUMNS.format(
            e.seq, span(e.at - since), e.kind, e.attempt, e.max_attempts, e.token, by, due, why
        )
        yield line.rstrip()


def check(
    events: Iterable[object],
    *,
    accepted: Iterable[JobId] | None = None,
    offered: Iterable[JobId] | None = None,
    jobs: Iterable[Job] | None = None,
    drained: bool = False,
    by: Instant | None = None,
    rules: Iterable[Rule] = (),
) -> list[Violation]:
    """Return what is wrong with a whole history; nothing, if it is sound.

    `events` are all events from the first on, in the order of the log; what is not even an event is a
    violation, too. `accepted` are the ids that an enqueue returned, `offered` all that one was ever called
    with, `jobs` what the store holds at the end. `drained` says that workers ran until nothing was left, `by`
    when that had to be. More `rules` are asked of events, such as `jobsim.testing.backoffs.WithinPolicy`.
    """
    history = History(rules)
    found = [violation for event in events for violation in history.add(event)]
    if accepted is not None:
        found += history.conservation(accepted)
    if offered is not None:
        found += history.nothing_invented(offered)
    if jobs is not None:
        found += history.log_equals_state(jobs)
    if drained:
        found += history.liveness(by)
    return found


def verify(
    events: Iterable[object],
    *,
    accepted: Iterable[JobId] | None = None,
    offered: Iterable[JobId] | None = None,
    jobs: Iterable[Job] | None = None,
    drained: bool = False,
    by: Instant | None = None,
    rules: Iterable[Rule] = (),
) -> None:
    """Refuse a history that `check` finds fault with.

    Raises:
        AssertionError: what is wrong, with the history of each job concerned.
    """
    found = check(events, accepted=accepted, offered=offered, jobs=jobs, drained=drained, by=by, rules=rules)
    if found:
        raise AssertionError("\n".join(map(str, found)))


class History:
    """What is known after the events added so far, for checking a log while it grows.

    More `rules` are asked of each event after those of `jobsim.testing.rules`. One that does not keep events,
    as a long log is not to fill the memory, tells of a violation with the last event only.
    """

    def __init__(self, rules: Iterable[Rule] = (), *, keeps_events: bool = True) -> None:
        self.standings: dict[JobId, Standing] = {}
        self._rules = (*RULES, *rules)
        self._keeps_events = keeps_events
        self._events: dict[JobId, list[Event]] = {}
        self._seq = 0

    def add(self, event: object) -> list[Violation]:
        """Take in the next event of the log, and return the rules it breaks."""
        if not isinstance(event, Event):
            return [Violation("well_formed", None, f"{reprlib.repr(event)} is not an event")]
        flaw = well_formed(event)
        if flaw is not None:
            return [Violation("well_formed", None, f"{flaw}: {event!r}")]
        before = self.standings.get(event.job)
        past = self._events.setdefault(event.job, []) if self._keeps_events else []
        past.append(event)
        broken = [(rule.__name__, problem) for rule in self._rules if (problem := rule(event, before))]
        if event.seq <= self._seq:
            broken.append(("in_order", f"event {event.seq} comes after event {self._seq}"))
        self._seq = max(self._seq, event.seq)
        if event.kind is not Kind.REFUSE:
            self.standings[event.job] = _after(event, before)
        return [Violation(rule, event.job, problem, tuple(past)) for rule, problem in broken]

    def forget(self, job: JobId) -> None:
        """Know no more of a job that was pruned."""
        self.standings.pop(job, None)
        self._events.pop(job, None)

    def of(self, job: JobId) -> tuple[Event, ...]:
        """Return the events of one job."""
        return tuple(self._events.get(job, ()))

    def conservation(self, accepted: Iterable[JobId]) -> list[Violation]:
        """Every id that an enqueue returned has been enqueued: no accepted job is lost."""
        lost = (job for job in accepted if job not in self.standings)
        return [Violation("conservation", job, "accepted, yet the log does not know it") for job in lost]

    def nothing_invented(self, offered: Iterable[JobId]) -> list[Violation]:
        """Every job of the log was handed to an enqueue."""
        unknown = self.standings.keys() - set(offered)
        return [
            Violation("nothing_invented", job, "nobody enqueued it", self.of(job)) for job in sorted(unknown)
        ]

    def log_equals_state(self, jobs: Iterable[Job]) -> list[Violation]:
        """The store holds each job of the log once, as the log says, and no other."""
        stored = list(jobs)
        copies = Counter(job.id for job in stored)
        problems = [(id_, f"stored {count} times") for id_, count in copies.items() if count > 1]
        problems += [(id_, "in the log, but not in the store") for id_ in self.standings if id_ not in copies]
        for job in stored:
            told, kept = self.standings.get(job.id), standing(job)
            if told is None:
                problems.append((job.id, "in the store, but not in the log"))
            elif told != kept:
                problems.append((job.id, f"the log says {told}, the store {kept}"))
        return [Violation("log_equals_state", id_, problem, self.of(id_)) for id_, problem in problems]

    def liveness(self, by: Instant | None = None) -> list[Violation]:
        """Once workers ran until nothing was left, every job is in a final state; since `by`, if given."""
        late = ((job, _late(now, by)) for job, now in self.standings.items())
        return [Violation("liveness", job, problem, self.of(job)) for job, problem in late if problem]


def _late(now: Standing, by: Instant | None) -> str | None:
    if now.state not in FINAL:
        return f"still {now.state.value} after the drain"
    if by is None or now.finished is None or now.finished <= by:
        return None
    return f"{now.state.value} {span(now.finished - by)} after it had to be final"


def _after(event: Event, before: Standing | None) -> Standing:
    """Return where the job stands after `event`; an illegal one is believed, so that it is blamed once."""
    source = _SOURCES[event.kind]
    if (before.state if before else None, event.kind) in TRANSITIONS:
        return step(before, event)
    if source is None:
        return step(None, event)
    blank = Standing(source, event.attempt, event.max_attempts, event.token, event.at, None, None, None)
    return step(replace(before or blank, state=source), event)
