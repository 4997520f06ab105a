"""Interleavings of the engine's own loops, at the granularity of storage calls: every one, or many by lot.

`explore` visits all states of a small scope, `sample` makes schedules in a larger one. Whatever a transaction
does is judged by the rules of the history, and each end by whether all jobs become final. What breaks a rule
is a `Course`, with its story and a token that `replay` takes.

    result = explore(Scope(workers=2, jobs=2, crashes=1))
    assert not result.found, result.found
"""

from dataclasses import dataclass

from jobsim.runtime.quiet import unheard
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.interleaving_course import Course, course, replayed, shrunk
from jobsim.testing.interleaving_judge import OpenStorage
from jobsim.testing.interleaving_process import Through
from jobsim.testing.interleaving_schedules import Order, schedule
from jobsim.testing.interleaving_scope import Scope
from jobsim.testing.interleaving_search import Explored, search

__all__ = ["Course", "Explored", "Order", "Sampled", "Scope", "explore", "replay", "sample"]


def directly(storage: Storage) -> Storage:
    """Return the store: nothing stands between it and a process."""
    return storage


@dataclass(frozen=True, slots=True)
class Sampled:
    """How many `schedules` were made, of how many `moves` in all; `found` is what has ended it."""

    scope: Scope
    schedules: int
    moves: int
    found: Course | None


def explore(
    scope: Scope,
    open_storage: OpenStorage = MemoryStorage,
    *,
    through: Through = directly,
    most: int | None = None,
) -> Explored:
    """Visit every state of `scope`, up to what breaks a rule, which is shrunk then, or to `most` states.

    `open_storage` returns an empty store, which is a function of the transactions that it is asked for;
    `through` what stands between each process and the store. See `interleaving_search` for what is merged.
    """
    with unheard():
        return search(scope, open_storage, through, most)


def sample(
    scope: Scope,
    schedules: int,
    open_storage: OpenStorage = MemoryStorage,
    *,
    order: Order = Order.CHANCE,
    seed: int = 0,
    through: Through = directly,
) -> Sampled:
    """Make so many `schedules` of `scope`, each on an empty store, up to one that breaks a rule.

    What is found is shrunk.
    """
    moves = 0
    for number in range(schedules):
        made = course(scope, schedule(order, seed, number), open_storage, through)
        moves += len(made.moves)
        if made.violations:
            return Sampled(scope, number + 1, moves, shrunk(made, scope, open_storage, through))
    return Sampled(scope, schedules, moves, None)


def replay(token: str, open_storage: OpenStorage = MemoryStorage, *, through: Through = directly) -> Course:
    """Return what comes of the schedule that `token` stands for.

    Raises:
        ConfigError: there is no such schedule.
    """
    return replayed(token, open_storage, through)
