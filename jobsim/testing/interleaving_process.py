"""A process of the engine, led from one storage call to the next: its loops are the engine's own."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from jobsim.core.errors import StorageError, StorageUnavailable
from jobsim.core.outcome import Outcome
from jobsim.core.time import Instant
from jobsim.storage.base import Storage
from jobsim.testing.interleaving_verbs import Call, Pause, Task, Verbs, Wants, Work

BELL: Final = "bell"
"""The name under which a doorbell waits for the moment that it is set to."""


class Request(NamedTuple):
    """One transaction that a process asks for: the store's method and its arguments, lists as tuples."""

    method: str
    args: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...] = ()


class Waiting(NamedTuple):
    """Something that may happen to a process: `number` of the loop, from 0, or of the doorbell, below."""

    number: int
    name: str
    wants: Wants
    due: Instant | None = None


Through = Callable[[Storage], Storage]
"""Returns what stands between a process and the store: nothing, or what makes of one call several."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a process is: its `main` on the verbs and the store that it is given.

    Loops named in `mute` are never let run: they are as slow as may be.
    """

    name: str
    main: Callable[[Verbs, Storage], Coroutine[Any, Any, None]]
    mute: frozenset[str] = frozenset()


class _Asked(BaseException):  # goes through all that a call is made of; that is run anew with the answer
    def __init__(self, request: Request) -> None:
        self.request = request


class _Method:
    __slots__ = ("_name", "_port")

    def __init__(self, port: "_Port", name: str) -> None:
        self._port = port
        self._name = name

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._port.ask(Request(self._name, _frozen(args), _frozen(tuple(keywords.items()))))


class _Port:
    """The store as a call sees it: answers that are there are given, the next is asked for."""

    def __init__(self) -> None:
        self.answers: Iterator[Any] = iter(())

    def __getattr__(self, name: str) -> _Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(self, name)

    def ask(self, request: Request) -> Any:
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise _Asked(request)


class _Answered(NamedTuple):
    value: Any
    error: Exception | None = None


class Process:
    """A process in `role`, from its start at `began` up to the first things that it waits for.

    A call that makes several transactions is run anew after each of them, from its beginning, with the
    answers that there are: so others may come between.
    """

    def __init__(self, role: Role, began: Instant, through: Through) -> None:
        self._mute = role.mute
        self._verbs = verbs = Verbs(began)
        self._port = _Port()
        self._half: dict[int, tuple[Instant, tuple[Any, ...]]] = {}
        self._unsure: list[tuple[Request, Any]] = []
        main = role.main(verbs, through(cast("Storage", self._port)))
        self._main = verbs.start(main, lambda: None)
        verbs.settle_down()

    @property
    def over(self) -> bool:
        """Whether it has ended: it was done, or its store has failed it.

        Raises:
            Exception: what else it ended with, which is a bug.
        """
        error = self._main.error
        if error is not None and not isinstance(error, StorageError):
            raise error
        return self._main.over

    @property
    def state(self) -> tuple[object, ...]:
        """All that its further course depends on, but for the clock."""
        return self._verbs.tasks, self._verbs.bells, self._half, self._unsure

    def waiting(self) -> Iterator[Waiting]:
        """Yield all that may happen to it, now or at a later moment."""
        for task in () if self._main.over else self._verbs.tasks:
            if task.name in self._mute:
                continue
            match task.wants:
                case Call():
                    yield Waiting(task.number, task.name, Wants.CALL)
                case Work():
                    yield Waiting(task.number, task.name, Wants.END)
                case Pause(until=until) if until is not None:
                    yield Waiting(task.number, task.name, Wants.TIME, until)
                case _:
                    pass
        for number, bell in enumerate(() if self._main.over or BELL in self._mute else self._verbs.bells):
            if bell.alarm is not None:
                yield Waiting(-1 - number, BELL, Wants.TIME, bell.alarm)

    def ask(self, number: int, now: Instant) -> Request | None:
        """Return the transaction that the call of a loop makes next.

        `None`, where there is none to make: the answer is known since it was lost, as a call that is made
        again answers as it would have.
        """
        made = self._call(number, now)
        return made if isinstance(made, Request) and self._remembered(made) is None else None

    def answer(self, number: int, now: Instant, answer: Any) -> None:
        """Give the store's `answer`, or raise it, and go on to the next things to wait for."""
        self._feed(number, now, (answer,))

    def answer_itself(self, number: int, now: Instant) -> None:
        """Go on where `ask` returned `None`."""
        made = self._call(number, now)
        known = self._remembered(made) if isinstance(made, Request) else None
        if known is not None:
            self._unsure.remove(known)
        self._feed(number, now, () if known is None else (known[1],))

    def lose(self, number: int, now: Instant, request: Request, answer: Any) -> None:
        """Let a call fail whose transaction was made: its answer is lost."""
        self._unsure.append((request, answer))
        error = StorageUnavailable("the connection was lost in a commit; nobody knows whether it was kept")
        self._feed(number, now, (error,))

    def pass_time(self, number: int, now: Instant) -> None:
        """Let the moment come that a loop or a doorbell waits for."""
        self._verbs.clock = now
        if number < 0:
            self._verbs.bells[-1 - number].ring_alarm()
            self._verbs.settle_down()
            return
        task = self._verbs.tasks[number]
        if isinstance(task.wants, Pause) and task.wants.bell is not None:
            task.wants.bell.leave(task)
        self._go_on(task, False)  # a wait hears that nobody rang; a sleep does not listen

    def end(self, number: int, now: Instant, outcome: Outcome) -> None:
        """Let the attempt end that a loop runs."""
        self._verbs.clock = now
        self._go_on(self._verbs.tasks[number], outcome)

    def _call(self, number: int, now: Instant, more: Sequence[Any] = ()) -> Request | _Answered:
        """Run the call of a loop up to the first transaction without an answer."""
        call = self._verbs.tasks[number].wants
        assert isinstance(call, Call)
        self._verbs.clock, answers = self._half.get(number, (now, ()))
        self._port.answers = iter((*answers, *more))
        try:
            return _Answered(call.fn(*call.args))
        except _Asked as asked:
            return asked.request
        except Exception as error:  # noqa: BLE001  # it is for the loop
            return _Answered(None, error.with_traceback(None))
        finally:
            self._port.answers = iter(())  # what it was is no part of where the process stands

    def _feed(self, number: int, now: Instant, more: Sequence[Any]) -> None:
        made = self._call(number, now, more)
        begun, answers = self._half.pop(number, (now, ()))
        if isinstance(made, Request):
            self._half[number] = begun, (*answers, *more)
            return
        self._verbs.clock = now
        self._go_on(self._verbs.tasks[number], *made)

    def _go_on(self, task: Task, value: Any, error: Exception | None = None) -> None:
        self._verbs.wake(task, value, error)
        self._verbs.settle_down()

    def _remembered(self, request: Request) -> tuple[Request, Any] | None:
        call = _timeless(request)
        return next((known for known in self._unsure if _timeless(known[0]) == call), None)


def _timeless(request: Request) -> Request:
    """Return what makes a call the same: all but the time, which is its last argument."""
    return request._replace(args=request.args[:-1])


def _frozen(value: Any) -> Any:
    """Return `value` with tuples for the lists in it, so that it stays as it is."""
    return tuple(map(_frozen, value)) if type(value) in (list, tuple) else value
