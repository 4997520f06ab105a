"""Stores and processes as automata, made while they are explored: each step is taken once, and then known.

A process is a function of what it has been told, and a store of the transactions that were made: neither can
be copied, and both can be made anew. Those that are in the same state are one: two stores whose jobs are
equal in every column, two processes whose prints are equal.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from jobsim.core.events import Event
from jobsim.core.job import Job, JobId
from jobsim.core.outcome import SUCCEEDED
from jobsim.core.time import Instant
from jobsim.core.transitions import Kind
from jobsim.testing.interleaving_judge import Judged, OpenStorage
from jobsim.testing.interleaving_prints import print_of
from jobsim.testing.interleaving_process import Process, Request, Role, Through, Waiting
from jobsim.testing.interleaving_scope import BEGAN, FAILED, How, first_due
from jobsim.testing.interleaving_verbs import Wants
from jobsim.testing.invariants import Violation

T = TypeVar("T")

AT_HAND: Final = 256
"""So many are kept as they are, each in its state, in case it goes on from there."""

OWN: Final = -1
"""The number of a request that a process answers itself, and of that answer."""

OVER: Final = 0
"""The state of every process that has ended or died."""


class Broken(Exception):  # it ends a search, by what was looked for
    """A transaction broke rules of the history, or a process ended as it should not."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__(violations)
        self.violations = violations


class _AtHand(OrderedDict[int, T], Generic[T]):
    """Live things by the number of the state that they are in; the oldest are let go."""

    def __init__(self, let_go: Callable[[T], None]) -> None:
        super().__init__()
        self._let_go = let_go

    def keep(self, state: int, thing: T) -> None:
        """Keep `thing`, in the place of another in the same state."""
        if state in self:
            self._let_go(self.pop(state))
        self[state] = thing
        if len(self) > AT_HAND:
            self._let_go(self.popitem(last=False)[1])


class Numbered(Generic[T]):
    """Values, each once, and their numbers."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: T, key: object = None) -> int:
        """Return the number of `value`, or of another with the same `key`."""
        key = value if key is None else key
        number = self._numbers.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


def situation(event: Event) -> str:
    """Return what an event is an example of: its kind, how the attempt ended, and for which reason."""
    reason = "" if event.kind is Kind.ENQUEUE else event.why.reason  # of an enqueue, it is the job's kind
    return " ".join(filter(None, (event.kind.value, event.why.outcome, reason)))


class Stores:
    """The states of a store, from the empty one, which is number 0; `situations` are all that were met."""

    def __init__(self, open_storage: OpenStorage, offered: Sequence[JobId]) -> None:
        self.requests: Final[Numbered[Request]] = Numbered()
        self.answers: Final[Numbered[Any]] = Numbered()
        self.situations: Final[set[str]] = set()
        self._open, self._offered = open_storage, offered
        self._rows: Final[Numbered[tuple[Job, ...]]] = Numbered()
        self._rows.number((), key=((),))
        self._origins: list[tuple[int, int]] = [(0, 0)]
        self._steps: dict[tuple[int, int], tuple[int, int]] = {}
        self._live = _AtHand[Judged](lambda store: store.storage.close())

    def __len__(self) -> int:
        return len(self._rows.values)

    def rows(self, state: int) -> tuple[Job, ...]:
        """Return the jobs."""
        return self._rows.values[state]

    def make(self, state: int, request: int) -> tuple[int, int]:
        """Return the state after a transaction, and the number of the answer.

        Raises:
            Broken: it breaks a rule.
        """
        step = self._steps.get((state, request))
        if step is None:
            step = self._steps[state, request] = self._make(state, request)
        return step

    def _make(self, state: int, request: int) -> tuple[int, int]:
        store = self._live.pop(state, None) or self._made_anew(state)
        answer, violations = store.make(self.requests.values[request])
        self.situations.update(situation(event) for event in store.events)
        if violations:
            store.storage.close()
            raise Broken(violations)
        after = self._rows.number(store.rows, key=(store.rows,))
        if after == len(self._origins):
            self._origins.append((state, request))
        self._live.keep(after, store)
        return after, self.answers.number(answer, key=repr(answer))

    def _made_anew(self, state: int) -> Judged:
        requests = []
        while state:
            state, request = self._origins[state]
            requests.append(self.requests.values[request])
        store = Judged(self._open(), self._offered)
        store.repeat(reversed(requests))
        return store

    def close(self) -> None:
        """Let go of all stores that are at hand."""
        for store in self._live.values():
            store.storage.close()
        self._live.clear()


class Told(NamedTuple):
    """What a process was told at one step: `request` and `answer` are those of a call."""

    waiting: Waiting
    how: How
    now: Instant
    request: Request | None = None
    answer: Any = None


def tell(process: Process, told: Told) -> None:
    """Let one step of a process happen."""
    number = told.waiting.number
    match told.waiting.wants:
        case Wants.TIME:
            process.pass_time(number, told.now)
        case Wants.END:
            process.end(number, told.now, FAILED if told.how is How.FAILS else SUCCEEDED)
        case _ if told.request is None:
            process.answer_itself(number, told.now)
        case _ if told.how is How.LOST:
            process.lose(number, told.now, told.request, told.answer)
        case _:
            process.answer(number, told.now, told.answer)


class Processes:
    """The states of a process in one role: 0 when it is over, 1 at the beginning."""

    def __init__(self, role: Role, through: Through, stores: Stores) -> None:
        self._role, self._through, self._stores = role, through, stores
        self._numbers: dict[Any, int] = {OVER: OVER}
        self._waiting: list[tuple[Waiting, ...]] = [()]
        self._origins: list[tuple[int, Told] | None] = [None]
        self._requests: dict[tuple[int, int, Instant], int] = {}
        self._steps: dict[tuple[int, int, How, Instant, int], int] = {}
        self._live = _AtHand[Process](lambda _: None)
        self.start: Final = self._arrive(Process(role, BEGAN, through), None)

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self, state: int) -> tuple[Waiting, ...]:
        """Return what may happen in a state, now or later."""
        return self._waiting[state]

    def request(self, state: int, number: int, now: Instant) -> int:
        """Return the number of the transaction that a call makes next; `OWN`: none."""
        key = (state, number, now)
        known = self._requests.get(key)
        if known is None:
            process = self._at(state)
            request = process.ask(number, now)
            self._live.keep(state, process)
            known = OWN if request is None else self._stores.requests.number(request)
            self._requests[key] = known
        return known

    def step(
        self, state: int, waiting: Waiting, how: How, now: Instant, request: int = OWN, answer: int = OWN
    ) -> int:
        """Return the state after something has happened.

        Raises:
            Broken: the process ended by an error that is not the store's.
        """
        key = (state, waiting.number, how, now, answer)
        known = self._steps.get(key)
        if known is None:
            known = self._steps[key] = self._step(state, waiting, how, now, request, answer)
        return known

    def wake(self, state: int, now: Instant) -> int:
        """Return the state after all timers that are due have run out, the earliest first."""
        while first := first_due(self._waiting[state], now):
            state = self.step(state, first, How.PLAIN, now)
        return state

    def _step(self, state: int, waiting: Waiting, how: How, now: Instant, request: int, answer: int) -> int:
        if request == OWN:
            told = Told(waiting, how, now)
        else:
            values = self._stores.requests.values[request], self._stores.answers.values[answer]
            told = Told(waiting, how, now, *values)
        process = self._at(state)
        tell(process, told)
        return self._arrive(process, (state, told))

    def _arrive(self, process: Process, origin: tuple[int, Told] | None) -> int:
        state = OVER if is_over(process) else self._numbers.setdefault(print_of(process.state), len(self))
        if state == len(self):
            self._waiting.append(tuple(process.waiting()))
            self._origins.append(origin)
        if state != OVER:
            self._live.keep(state, process)
        return state

    def _at(self, state: int) -> Process:
        """Return a process in a state, which then belongs to the caller."""
        process = self._live.pop(state, None)
        if process is not None:
            return process
        path = []
        while (origin := self._origins[state]) is not None:
            state, told = origin
            path.append(told)
        process = Process(self._role, BEGAN, self._through)
        for told in reversed(path):
            tell(process, told)
        return process


def is_over(process: Process) -> bool:
    """Return whether a process has ended.

    Raises:
        Broken: by an error that is not the store's.
    """
    try:
        return process.over
    except Exception as error:
        raise Broken([Violation("no_surprise", None, f"the engine raised {error!r}")]) from error
