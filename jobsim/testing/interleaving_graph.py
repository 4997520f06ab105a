"""The states of a small scope, each a tuple of numbers, and the moves between them."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from jobsim.core.time import Instant
from jobsim.core.transitions import FINAL
from jobsim.testing.interleaving_cast import cast, offered, worker
from jobsim.testing.interleaving_judge import OpenStorage
from jobsim.testing.interleaving_process import Through, Waiting
from jobsim.testing.interleaving_scope import (
    CLOCK,
    WRITES,
    How,
    Move,
    Scope,
    Spent,
    allowed,
    clock,
    spend,
    ways,
)
from jobsim.testing.interleaving_states import OVER, OWN, Numbered, Processes, Stores
from jobsim.testing.interleaving_verbs import Wants

State = tuple[int, ...]
"""The numbers of the store's state, of what is spent, and of the state of each process."""

FIRST: Final = 2
"""Where the processes begin in it."""


class Option(NamedTuple):
    """A move that may be made: of what, by which transaction, and what is spent afterwards."""

    move: Move
    waiting: Waiting | None
    request: int
    spent: int


class Graph:
    """The states of a scope, and the moves between them; a sound worker stands by after all others."""

    def __init__(self, scope: Scope, open_storage: OpenStorage, through: Through) -> None:
        self.scope = scope
        self.stores: Final = Stores(open_storage, offered(scope))
        self._spent: Final[Numbered[Spent]] = Numbered()
        roles = [*cast(scope, alike=True), worker("last")]
        made = {role.name: Processes(role, through, self.stores) for role in roles}
        self.processes: Final = [made[role.name] for role in roles]
        begin = [each.start for each in self.processes[:-1]]
        self.first: Final[State] = (0, self._spent.number(Spent()), *begin)
        self._options: dict[tuple[int, int, int], list[Option]] = {}

    def options(self, state: State) -> Iterator[Option]:
        """Yield all moves of a state, but those that come to the same."""
        _, spent, *processes = state
        before = None
        for who, standing in enumerate(processes):
            if standing != before or who >= self.scope.workers:
                yield from self._options_of(who, standing, spent)
            before = standing
        if self._ticks(spent) < self.scope.ticks:
            yield self.tick(spent)

    def plain(self, state: State, who: int) -> Option | None:
        """Return the first move of a process that goes as it should."""
        options = self._options_of(who, state[FIRST + who], state[1])
        return next((option for option in options if option.move.how is How.PLAIN), None)

    def calmed(self, state: State) -> State:
        """Return a state as of an exploration without faults, with a sound worker where one is missing."""
        store, spent, *processes = state
        spent = self._spent.number(Spent(self._ticks(spent)))
        needed = processes[: self.scope.workers + self.scope.reapers]
        spare = [self.processes[-1].start] if OVER in needed else []
        return (store, spent, *processes, *spare)

    def final(self, state: State) -> bool:
        """Return whether every job is in a final state."""
        return all(job.state in FINAL for job in self.stores.rows(state[0]))

    def tick(self, spent: int) -> Option:
        """Return the move of the clock."""
        move = Move(CLOCK)
        return Option(move, None, OWN, self._after(spent, move))

    def _ticks(self, spent: int) -> int:
        return self._spent.values[spent].ticks

    def _after(self, spent: int, move: Move) -> int:
        return self._spent.number(spend(self._spent.values[spent], move))

    def _options_of(self, who: int, standing: int, spent: int) -> list[Option]:
        key = (who, standing, spent)
        if key not in self._options:
            self._options[key] = list(self._found(who, standing, spent))
        return self._options[key]

    def _found(self, who: int, standing: int, number: int) -> Iterator[Option]:
        process, spent = self.processes[who], self._spent.values[number]
        for waiting in process.waiting(standing):
            request = OWN
            if waiting.wants is Wants.CALL:
                request = process.request(standing, waiting.number, clock(spent.ticks))
            for how in ways(self.scope, spent, waiting):
                move = Move(who, waiting.number, how)
                if how is not How.DIES_AFTER and (how is not How.LOST or self._is_write(request)):
                    yield Option(move, waiting, request, self._after(number, move))
        last = spent.ticks == self.scope.ticks
        if last and standing != OVER and allowed(self.scope, spent, How.DIES):
            move = Move(who, 0, How.DIES)
            yield Option(move, None, OWN, self._after(number, move))

    def _is_write(self, request: int) -> bool:
        return request != OWN and self.stores.requests.values[request].method in WRITES

    def make(self, state: State, option: Option) -> State:
        """Return the state after a move.

        Raises:
            Broken: it breaks a rule.
        """
        (who, _, how), waiting, request, spent = option
        store = state[0]
        if who == CLOCK:
            now = clock(self._ticks(spent))
            return (store, spent, *(self._woken(*each, now) for each in enumerate(state[FIRST:])))
        standing = OVER
        if waiting is not None:
            answer, now = OWN, clock(self._ticks(spent))
            if request != OWN:
                store, answer = self.stores.make(store, request)
            standing = self.processes[who].step(state[FIRST + who], waiting, how, now, request, answer)
            standing = self._woken(who, standing, now)
        place = FIRST + who
        return (store, spent, *state[FIRST:place], standing, *state[place + 1 :])

    def _woken(self, who: int, standing: int, now: Instant) -> int:
        """Return the state of a process whose timers are on time, where they are."""
        return standing if self.scope.drowsy else self.processes[who].wake(standing, now)

    def places(self, state: State) -> list[int]:
        """Return where each place of `merged` has its process from."""
        places = list(range(len(state) - FIRST))
        count = self.scope.workers
        places[:count] = sorted(places[:count], key=lambda place: state[FIRST + place])
        return places

    def placed(self, state: State, who: Sequence[int]) -> State:
        """Return the state in which each process has its own place again; `who` stands in each now."""
        standings = [standing for _, standing in sorted(zip(who, state[FIRST:], strict=True))]
        return (*state[:FIRST], *standings)

    def merged(self, state: State) -> State:
        """Return the one of the states in which workers have changed places that stands for all of them."""
        others = FIRST + self.scope.workers
        return (*state[:FIRST], *sorted(state[FIRST:others]), *state[others:])
