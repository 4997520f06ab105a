"""A schedule made to its end, told, shrunk, and named by a token."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from jobsim.core.errors import ConfigError
from jobsim.runtime.quiet import unheard
from jobsim.testing.interleaving_judge import OpenStorage
from jobsim.testing.interleaving_process import Through
from jobsim.testing.interleaving_run import Run
from jobsim.testing.interleaving_scope import Move, Scope
from jobsim.testing.interleaving_token import read_token, token_of
from jobsim.testing.invariants import Violation

Schedule = Callable[[Run], Iterable[Move]]
"""Says of a run, step by step, which of its moves is next."""


@dataclass(frozen=True, slots=True)
class Course:
    """A schedule that was made to its end, or up to what it broke; `replay` takes its `token`."""

    token: str
    moves: tuple[Move, ...]
    violations: tuple[Violation, ...]
    story: tuple[str, ...]

    def __str__(self) -> str:
        steps = (f"  {number:>3}  {line}" for number, line in enumerate(self.story, 1))
        return "\n".join([*map(str, self.violations), *steps, f"to make it again: replay({self.token!r})"])


def course(scope: Scope, schedule: Schedule, open_storage: OpenStorage, through: Through) -> Course:
    """Return what came of a schedule."""
    storage = open_storage()
    moves, choices = list[Move](), list[int]()
    try:
        with unheard():
            run = Run(scope, storage, through)
            for move in schedule(run):
                choices.append(run.moves().index(move))
                moves.append(move)
                run.make(move)
                if run.violations:
                    break
            else:
                run.finish()
    finally:
        storage.close()
    return Course(token_of(scope, choices), tuple(moves), tuple(run.violations), tuple(run.story))


def replayed(token: str, open_storage: OpenStorage, through: Through) -> Course:
    """Return what comes of the schedule of a token.

    Raises:
        ConfigError: there is no such schedule.
    """
    scope, choices = read_token(token)

    def schedule(run: Run) -> Iterator[Move]:
        for place, choice in enumerate(choices, 1):
            moves = run.moves()
            if choice >= len(moves):
                raise ConfigError(f"step {place} of the token cannot be made: the engine is another by now")
            yield moves[choice]

    return course(scope, schedule, open_storage, through)


def shrunk(found: Course, scope: Scope, open_storage: OpenStorage, through: Through) -> Course:
    """Return a shorter course that breaks the same rule: without any moves that it does not take.

    Parts are left out, first halves, then ever smaller ones; what can no longer be made is left out too.
    Source: Zeller & Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002.
    """
    rule, size = found.violations[0].rule, len(found.moves) // 2
    while size:
        start = 0
        while start < len(found.moves):
            fewer = (*found.moves[:start], *found.moves[start + size :])
            tried = course(scope, those_possible(fewer), open_storage, through)
            if any(violation.rule == rule for violation in tried.violations):
                found = tried
            else:
                start += size
        size //= 2
    return found


def those_possible(moves: Sequence[Move]) -> Schedule:
    """Return the schedule of those of `moves` that can be made when it is their turn."""

    def schedule(run: Run) -> Iterator[Move]:
        for move in moves:
            if move in run.moves():
                yield move

    return schedule
