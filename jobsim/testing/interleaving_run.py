"""One schedule of a scope, on live processes and a live store: it goes further, and tells what happened."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from jobsim.core.job import JobId
from jobsim.core.transitions import FINAL
from jobsim.storage.base import Storage
from jobsim.testing.interleaving_cast import cast, offered, worker
from jobsim.testing.interleaving_drain import drains
from jobsim.testing.interleaving_judge import perform, unfounded, unique_keys
from jobsim.testing.interleaving_process import Process, Request, Role, Through, Waiting
from jobsim.testing.interleaving_scope import (
    BEGAN,
    CLOCK,
    TICK,
    WRITES,
    How,
    Move,
    Scope,
    Spent,
    allowed,
    clock,
    first_due,
    spend,
    ways,
)
from jobsim.testing.interleaving_states import Broken, Told, is_over, tell
from jobsim.testing.interleaving_verbs import Wants
from jobsim.testing.invariants import History, Violation

_FOR_EVER: Final = 1 << 20
_ENDINGS: Final = {
    How.PLAIN: "",
    How.DIES: "",
    How.DIES_AFTER: ", and dies before it hears of it",
    How.LOST: ", whose answer is lost",
    How.FAILS: ", which fails",
}


class Run:
    """A schedule as it is made, move by move; `violations` are what the last one broke, `story` tells all."""

    def __init__(self, scope: Scope, storage: Storage, through: Through) -> None:
        self.scope = scope
        self.spent = Spent()
        self.story: Final[list[str]] = []
        self.violations: list[Violation] = []
        self._storage, self._through = storage, through
        self._history = History()
        self._seq = 0
        self._accepted: list[JobId] = []
        self._roles = cast(scope)
        self._processes: list[Process | None] = [self._begin(role) for role in self._roles]

    def _begin(self, role: Role) -> Process:
        return Process(role, BEGAN, self._through)

    def moves(self) -> list[Move]:
        """Return all moves that may be made now, in an order of their own."""
        moves = [move for who in range(len(self._processes)) for move in self._moves_of(who)]
        return [*moves, Move(CLOCK)] if self.spent.ticks < self.scope.ticks else moves

    def _moves_of(self, who: int) -> Iterator[Move]:
        process = self._processes[who]
        if process is None:
            return
        for waiting in process.waiting():
            known = waiting.wants is not Wants.CALL or self._asked(process, waiting) in WRITES
            for how in ways(self.scope, self.spent, waiting):
                if known or how not in (How.LOST, How.DIES_AFTER):
                    yield Move(who, waiting.number, how)
        if allowed(self.scope, self.spent, How.DIES):
            yield Move(who, 0, How.DIES)

    def _asked(self, process: Process, waiting: Waiting) -> str:
        request = process.ask(waiting.number, clock(self.spent.ticks))
        return "" if request is None else request.method

    def make(self, move: Move) -> None:
        """Make a move, one of `moves`."""
        self.spent = spend(self.spent, move)
        try:
            self._make(move)
            self._wake()
        except Broken as broken:
            self.violations += broken.violations

    def _make(self, move: Move) -> None:
        if move.who == CLOCK:
            if self.scope.ticks < _FOR_EVER:
                self.story.append(f"the clock advances by {TICK}")
            return
        process = self._processes[move.who]
        assert process is not None
        if move.how is How.DIES:
            self._processes[move.who] = None
            self._tell(move.who, "dies")
            return
        waiting = next(each for each in process.waiting() if each.number == move.number)
        told = Told(waiting, move.how, clock(self.spent.ticks))
        if waiting.wants is Wants.CALL:
            request = process.ask(move.number, told.now)
            answer = None if request is None else self._transact(request)
            told = told._replace(request=request, answer=answer)
        if waiting.wants is not Wants.TIME:
            self._tell(move.who, f"{_what(told)}{_ENDINGS[move.how]}")
        if move.how is How.DIES_AFTER:
            self._processes[move.who] = None
            return
        tell(process, told)
        self._processes[move.who] = None if is_over(process) else process

    def _tell(self, who: int, what: str) -> None:
        self.story.append(f"{self._roles[who].name}: {what}")

    def _transact(self, request: Request) -> object:
        """Make a transaction, and judge what it has done."""
        before = self._storage.find() if request.method in WRITES else []
        answer, found = perform(self._storage, request)
        found += unfounded(request, answer, before)
        for event in self._storage.events(self._seq):
            found += self._history.add(event)
            self._seq = max(self._seq, event.seq)
        if request.method == "enqueue" and not isinstance(answer, Exception):
            assert isinstance(answer, Sequence)
            self._accepted += answer
            found += self._history.conservation(self._accepted)
        self.violations += found
        return answer

    def _wake(self) -> None:
        """Let timers run out that are on time."""
        now = clock(self.spent.ticks)
        for who in () if self.scope.drowsy else range(len(self._processes)):
            while (process := self._processes[who]) and (first := first_due(process.waiting(), now)):
                tell(process, Told(first, How.PLAIN, now))
                self._processes[who] = None if is_over(process) else process

    def finish(self) -> None:
        """Let the clock go on without faults, and judge the end."""
        self._judge_rows()
        if self.violations:
            return
        self.story.append("from here on there are no faults, and processes take turns, as time passes")
        if None in self._processes[: self.scope.workers + self.scope.reapers]:
            self._roles.append(worker("last"))
            self._processes.append(self._begin(self._roles[-1]))
        self.scope = replace(self.scope, ticks=_FOR_EVER, crashes=0, lost_replies=0, failures=0)
        self.spent = Spent(self.spent.ticks)
        drained = drains(self)
        self._judge_rows()
        if not drained and not self.violations:
            self.violations += self._history.liveness() or [Violation("liveness", None, "it does not settle")]

    def _judge_rows(self) -> None:
        rows = tuple(self._storage.find())
        self.violations += self._history.log_equals_state(rows)
        self.violations += self._history.nothing_invented(offered(self.scope))
        self.violations += unique_keys(rows)

    def turns(self) -> int:
        """Return how many processes there are."""
        return len(self._processes)

    def turn(self, who: int) -> bool:
        """Let a process make its next move; `False` where it has none."""
        move = next((move for move in self._moves_of(who) if move.how is How.PLAIN), None)
        if move is None or self.violations:
            return False
        self.make(move)
        return True

    def tick(self) -> None:
        """Let the clock advance."""
        self.make(Move(CLOCK))

    def drained(self) -> bool:
        """Return whether every job is final."""
        return all(job.state in FINAL for job in self._storage.find())


def _what(told: Told) -> str:
    """Return what happens, for people."""
    if told.waiting.wants is Wants.END:
        return "its attempt ends"
    call = "its call, made again," if told.request is None else told.request.method
    return f"{call} ({told.waiting.name.strip('_')})"
