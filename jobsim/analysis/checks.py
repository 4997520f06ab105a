"""Laws that every run keeps, whatever happened in it: a number of a run that breaks one means nothing.

They cost about as much as the measures, a few milliseconds for each 100,000 events.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from jobsim.analysis.arrays import NEVER, OUTCOMES, STATES, Moves
from jobsim.analysis.observed import Level, Observed
from jobsim.core.events import CODE, KINDS
from jobsim.core.job import State
from jobsim.core.time import SECOND
from jobsim.core.transitions import FINAL, TRANSITIONS, Kind

_CLOCKS: Final = 0.01
"""By how much slots may seem overfull: a worker's clock that is set back counts some time twice."""

_NEW: Final = len(STATES)
_ALLOWED: Final = np.zeros((len(STATES) + 1, len(KINDS)), dtype=bool)
"""Whether the transition table has an entry, by state (`_NEW`: none yet) and kind of event."""
for _state, _kind in TRANSITIONS:
    _ALLOWED[_NEW if _state is None else STATES.index(_state), CODE[_kind]] = True


def broken_laws(run: Observed) -> list[str]:
    """Return a sentence for each law that `run` breaks."""
    return [*_transitions(run), *_conservation(run), *_littles_law(run), *_utilisation(run)]


def _transitions(run: Observed) -> Iterator[str]:
    """Every event must be allowed in the state its job is in, and every claim take the next token."""
    moves = run.history.moves
    before = np.where(moves.first, _NEW, np.roll(moves.state, 1))
    wrong = np.flatnonzero(~_ALLOWED[before, moves.kind])
    if wrong.size:
        yield f"transitions: {_event(run, moves, wrong[0])} is not allowed where its job is"
    taken = np.where(moves.first, 0, np.roll(moves.token, 1)) + moves.of(Kind.CLAIM)
    off = np.flatnonzero(moves.token != taken)
    if off.size:
        yield f"fencing: {_event(run, moves, off[0])} has token {moves.token[off[0]]}, not {taken[off[0]]}"
    over = np.flatnonzero(moves.attempt > moves.max_attempts)
    if over.size:
        yield f"attempts: {_event(run, moves, over[0])} is of one attempt too many"


def _event(run: Observed, moves: Moves, row: np.intp) -> str:
    job = run.history.log.jobs[moves.job[row]]
    return f"event {moves.seq[row]} ({KINDS[moves.kind[row]].value} of job {job})"


def _conservation(run: Observed) -> Iterator[str]:
    """Accepted = final + waiting + running: jobs, attempts and levels must agree on who is where."""
    history, jobs = run.history, run.history.jobs
    accepted = int(history.moves.of(Kind.ENQUEUE).sum())
    final = int(np.isin(jobs.state, [STATES.index(state) for state in FINAL]).sum())
    waiting = int(np.isin(jobs.state, [STATES.index(State.PENDING), STATES.index(State.FAILED)]).sum())
    running = int((history.attempts.outcome == OUTCOMES.index("running")).sum())
    level = int(run.backlog.value[-1]) if len(run.backlog.value) else 0
    if not accepted == len(jobs.state) == final + waiting + running == final + level:
        yield (
            f"conservation: {accepted} jobs were accepted and {len(jobs.state)} are known, but {final} are "
            f"final, {waiting} wait and {running} run; the backlog ends at {level}"
        )


def _littles_law(run: Observed) -> Iterator[str]:
    """The area under a level is the time that all who were in it spent there, to the microsecond.

    Source: Little's law as an identity of the sample path; Stidham, Operations Research 22 (1974).
    """
    history, jobs = run.history, run.history.jobs
    end = max(int(run.setting.ended), int(history.moves.at.max(initial=0)))
    if not history.moves.of(Kind.REQUEUE).any():  # else jobs were away for a while
        left = np.where(jobs.finished == NEVER, end, jobs.finished)
        yield from _area("in the backlog", run.backlog, int((left - jobs.created).sum()), end)
    yield from _area("waiting for workers", run.queue, int(run.waits.length.sum()), end)


def _area(where: str, level: Level, spent: int, end: int) -> Iterator[str]:
    area = int((np.diff(np.append(level.at, end)) * level.value).sum())
    if area != spent:
        yield (
            f"Little's law: {where}, the level over time makes {area / SECOND} job seconds, "
            f"but the jobs spent {spent / SECOND} s there"
        )


def _utilisation(run: Observed) -> Iterator[str]:
    """A slot runs one attempt at a time, so that all attempts together fit into the slots."""
    slots, attempts = run.setting.slots, run.history.attempts
    if not slots:
        return
    told = np.isin(attempts.outcome, [OUTCOMES.index(name) for name in ("running", "lost")], invert=True)
    began, ended = (np.minimum(at[told], run.horizon) for at in (attempts.started, attempts.ended))
    busy_s, room_s = int((ended - began).sum()) / SECOND, slots * run.setting.horizon_s
    if not 0 <= busy_s <= room_s * (1 + _CLOCKS):
        yield f"utilisation: attempts took {busy_s} s while jobs arrived, but {slots} slots had {room_s} s"
