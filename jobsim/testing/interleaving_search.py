"""Every interleaving of a small scope: all states are visited, those where time has passed first.

What is merged, and why nothing is missed by it:

- **Between two storage calls a process does what it does at once.** Its loops share nothing with other
  processes but the store, so that such a step can be moved past any of theirs; past a tick it is not moved.
- **States that are equal are visited once**: equal jobs, in every column; equal processes, by their
  coroutines, variables and all that can be reached from those; equal clocks, and equally many faults so far.
  What may follow, and whether it is right, depends on nothing else: a store on its rows, since it keeps the
  contract; a rule on the event, and on how its job stood before.
- **To die is to be let run never again.** No other process can tell the two apart, so that deaths are looked
  at once the clock has stopped: of each process, wherever it stands, whatever it had been told or not.
- **Workers are alike**: which of them stands where makes no difference. Here they all have one name, so that
  a store which took the name of a worker for its right is found out as well; schedules by chance name them.

What is not explored: answers are heard at the moment of the commit or, as the fault it is, never; streams are
without chance, so that delays are the middle of what they could be; the clock advances by ticks, and is one.

At each end, where nothing is left to happen before the clock stops, the clock goes on: those that live, and a
sound worker where one has died, must bring every job to a final state.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from jobsim.core.transitions import FINAL
from jobsim.testing.interleaving_course import Course, course, shrunk, those_possible
from jobsim.testing.interleaving_drain import drains
from jobsim.testing.interleaving_graph import FIRST, Graph, Option, State
from jobsim.testing.interleaving_judge import OpenStorage
from jobsim.testing.interleaving_process import Through
from jobsim.testing.interleaving_scope import CLOCK, Move, Scope
from jobsim.testing.interleaving_states import Broken
from jobsim.testing.invariants import Violation


@dataclass(frozen=True, slots=True)
class Explored:
    """How many `states` were visited by how many `moves`, and how many of them were `ends`.

    `complete` says that these are all there are; else a bound, or what was `found`, has ended the search.
    `situations` are the events that were met, such as ``"retry lost backoff"``: each with how the attempt
    ended, and for which reason.
    """

    scope: Scope
    states: int
    moves: int
    ends: int
    complete: bool
    situations: frozenset[str]
    found: Course | None


def search(scope: Scope, open_storage: OpenStorage, through: Through, most: int | None) -> Explored:
    """Visit the states of `scope`, up to what breaks a rule, or to `most` states."""
    graph = Graph(scope, open_storage, through)
    visit = _Visit(graph)
    complete, found = False, None
    try:
        complete = visit.all(most)
    except Broken as broken:
        found = _told(scope, visit.path(), broken, open_storage, through)
    finally:
        graph.stores.close()
    met = frozenset(graph.stores.situations)
    return Explored(scope, len(visit.seen), visit.moves, visit.ends, complete, met, found)


def _told(
    scope: Scope, moves: list[Move], broken: Broken, open_storage: OpenStorage, through: Through
) -> Course:
    """Return what was found as the course of live processes, each under a name of its own, and shrunk."""
    told = course(scope, those_possible(moves), open_storage, through)
    if told.violations:
        return shrunk(told, scope, open_storage, through)
    return replace(told, violations=tuple(broken.violations))


class _Visit:
    """States that were `seen`, and how each was come to."""

    def __init__(self, graph: Graph) -> None:
        self.seen: Final = {graph.first}
        self.moves = self.ends = 0
        self._graph = graph
        self._calm = _Calm(graph)
        self._from = array("Q", [0])  # by the number of a state, in the order in which they were seen
        self._by: list[Option | None] = [None]
        self._now: tuple[int, Option | None] = (0, None)

    def all(self, most: int | None) -> bool:
        """Visit all states; `False` where that would be more than `most`.

        Raises:
            Broken: a rule was broken; `path` leads there.
        """
        ahead = [(0, self._graph.first)]
        while ahead:
            if most is not None and len(self.seen) >= most:
                return False
            self._visit(*ahead.pop(), ahead)
        return True

    def _visit(self, number: int, state: State, ahead: list[tuple[int, State]]) -> None:
        graph, seen, made = self._graph, self.seen, 0
        for option in graph.options(state):
            self._now = number, option
            made += 1
            after = graph.merged(graph.make(state, option))
            if after not in seen:
                ahead.append((len(seen), after))
                seen.add(after)
                self._from.append(number)
                self._by.append(option)
        self.moves += made
        if not made:
            self.ends += 1
            self._now = number, None
            self._calm.follow(self._graph.placed(state, self._course(number)[1]))

    def path(self) -> list[Move]:
        """Return the moves up to the last, by those who made them."""
        number, last = self._now
        moves, who = self._course(number)
        return moves if last is None else [*moves, _by(last.move, who)]

    def _course(self, number: int) -> tuple[list[Move], list[int]]:
        """Return the moves to a state, and who stands in each of its places."""
        options = []
        while (option := self._by[number]) is not None:
            options.append(option)
            number = self._from[number]
        state, moves = self._graph.first, list[Move]()
        who = list(range(len(state) - FIRST))
        for option in reversed(options):
            moves.append(_by(option.move, who))
            after = self._graph.make(state, option)
            who = [who[place] for place in self._graph.places(after)]
            state = self._graph.merged(after)
        return moves, who


def _by(move: Move, who: Sequence[int]) -> Move:
    """Return a move of the process that stands in a place."""
    return move if move.who == CLOCK else move._replace(who=who[move.who])


class _Calm:
    """What comes after the ends: no faults, and a clock that goes on."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._state: State = ()
        self._known: set[State] = set()
        self._passed: list[State] = []

    def follow(self, state: State) -> None:
        """Let processes take turns from an end on.

        Raises:
            Broken: a rule is broken, or a job is not final after all that time.
        """
        self._state = self._graph.calmed(state)
        self._passed = []
        if not drains(self):
            rows = self._graph.stores.rows(self._state[0])
            left = [job for job in rows if job.state not in FINAL]
            raise Broken([Violation("liveness", job.id, f"still {job.state.value}") for job in left])
        self._known.update(self._passed)

    def turns(self) -> int:
        """Return how many processes there are."""
        return len(self._state) - FIRST

    def turn(self, who: int) -> bool:
        """Let a process make its next move; `False` where it has none."""
        option = self._graph.plain(self._state, who)
        if option is not None:
            self._state = self._graph.make(self._state, option)
        return option is not None

    def tick(self) -> None:
        """Let the clock advance."""
        self._passed.append(self._graph.merged(self._state))
        self._state = self._graph.make(self._state, self._graph.tick(self._state[1]))

    def drained(self) -> bool:
        """Return whether every job is final, or known to become so."""
        return self._graph.merged(self._state) in self._known or self._graph.final(self._state)
