"""An application in a test: its queue, or handlers of the test, on the real engine and the test's clock."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Unpack

from jobsim.core.errors import ConfigError, NotFound, did_you_mean
from jobsim.core.job import Job, JobId, State
from jobsim.core.time import DurationLike, Instant
from jobsim.live.acceptance import accept
from jobsim.live.calls import Call
from jobsim.live.declarations import Declarations
from jobsim.live.handler import Handler
from jobsim.live.inline import Clocked
from jobsim.live.payload import SIZE_LIMIT
from jobsim.live.placement import Placement
from jobsim.live.rehearsal import Declared, Rehearsal
from jobsim.live.stores import Presence
from jobsim.live.terms import Settings
from jobsim.testing.injector import Injector, unheard
from jobsim.testing.invariants import verify
from jobsim.testing.venue import Scene, Venue, place

if TYPE_CHECKING:
    from datetime import datetime


class Rehearsed(Declared, Protocol):
    """A queue that can be rehearsed, such as a `jobsim.Queue`."""

    def rehearsed(self, here: Presence) -> AbstractContextManager[None]:
        """Have `here` for all that this process has of the queue, for a while."""
        ...


class EnqueuedJob:
    """A job that a test has enqueued."""

    __slots__ = ("_app", "id")

    def __init__(self, app: "App", id_: JobId) -> None:
        self._app = app
        self.id = id_

    def reload(self) -> Job:
        """Return the job as it stands.

        Raises:
            NotFound: it is there no more.
        """
        found = self._app.get(self.id)
        if found is None:
            raise NotFound(f"there is no job {self.id}")
        return found

    @property
    def state(self) -> State:
        """Where the job stands."""
        return self.reload().state

    def __repr__(self) -> str:
        return f"<job {self.id}>"


class App(Rehearsal):
    """What a test has of an application: `register` handlers, `enqueue` jobs, and `drain`.

    It is a `jobsim.Rehearsal`, with the same clock and assertions, whose workers can be made to die.
    """

    def __init__(self, here: Scene, declared: Declared, injector: Injector, lease: DurationLike) -> None:
        super().__init__(here, declared, peril=injector, lease=lease)
        self.injector: Final = injector
        injector.here = here
        injector.overtake = self._overtake

    def register(
        self,
        fn: Callable[..., Any],
        *,
        deps: Mapping[str, object] | None = None,
        name: str | None = None,
        **settings: Unpack[Settings],
    ) -> Handler[..., Any]:
        """Declare a function as the handler of a kind of job: its own name, or `name`.

        It is called with `deps` for those of its parameters that no job gives, such as clients of other
        services. The settings are those of `Queue.job`.

        Raises:
            ConfigError: it cannot be a handler, or the handlers of this app are those of its queue.
        """
        if not isinstance(self._declared, Stage):
            raise ConfigError(
                "the handlers of this app are those of its queue: declare this one with @queue.job"
            )
        if isinstance(fn, Handler):
            raise ConfigError(
                f"{fn.kind!r} is declared on a queue of its own: test that, with crash_everywhere(queue) "
                "or a fixture jobsim_queue that returns it"
            )
        kind = name or getattr(fn, "__name__", None)
        return self._declared.job(name=kind, **settings)(_supplied(fn, deps) if deps else fn)

    def enqueue(self, kind: str | Handler[..., Any], /, *arguments: Any, **named: Any) -> EnqueuedJob:
        """Put a job on the queue, as the `enqueue` of its handler does, with the same options.

        Raises:
            NotFound: there is no handler for that kind.
            PayloadError: the handler cannot be called like that.
        """
        name = kind if isinstance(kind, str) else kind.kind
        handler = self._declared.handlers.get(name)
        if handler is None:
            raise NotFound(f"there is no handler for {name!r}{did_you_mean(name, self._declared.handlers)}")
        return EnqueuedJob(self, handler.enqueue(*arguments, **named))

    def get(self, job: JobId) -> Job | None:
        """Return a job as it stands, or `None`."""
        return self._storage.get(job)

    def check(self) -> None:
        """Refuse a history that breaks a rule of the engine: of jobs lost, tokens, leases and attempts.

        Raises:
            AssertionError: what is wrong, with the history of each job concerned.
        """
        store = self._storage
        verify(store.events(), accepted=self.injector.accepted, jobs=store.find())

    def _overtake(self) -> None:
        """Let time pass until all leases have ended, and others do all there is to do."""
        until = max((job.lease_until or 0 for job in self._held), default=0)
        self._here.move_to(Instant(until + 1))
        self.drain()


class Stage(Declarations):
    """The handlers of a test: what `App.register` declares."""

    def __init__(self) -> None:
        super().__init__({}, SIZE_LIMIT, {})
        self._here: Presence = Clocked()

    @contextmanager
    def rehearsed(self, here: Presence) -> Iterator[None]:
        """Have `here` for all that this process has of the queue."""
        self._here = here
        yield

    def _accept(
        self, kind: str, calls: Iterable[Call], placement: Placement, batch: int | None = None
    ) -> list[JobId]:
        return accept(self._here, kind, list(calls), placement, self._terms(kind))


@contextmanager
def staged(
    queue: Rehearsed | None = None,
    *,
    storage: str = Venue.MEMORY,
    injector: Injector | None = None,
    seed: int = 1,
    lease: DurationLike = "60s",
    dsn: str = "",
    shared: bool = False,
) -> Iterator[App]:
    """Rehearse `queue`, or handlers that the test registers, on an empty store of the kind `storage`.

    Ids and delays are those of `seed`. What a dead worker held comes back after `lease`. `dsn` is where a
    PostgreSQL server is. With `shared` other processes reach the store, too.

    Raises:
        ConfigError: a setting cannot be used.
    """
    if storage not in list(Venue):
        raise ConfigError(
            f"{storage!r} is no store{did_you_mean(storage, Venue)}; those are {', '.join(Venue)}"
        )
    injector = injector or Injector()
    declared = queue or Stage()
    with place(Venue(storage), dsn, shared=shared) as where:
        here = Scene(where, injector, seed)
        app = App(here, declared, injector, lease)
        here.workers = (app,)
        injector.moved_in = _mover(declared, here)
        try:
            with declared.rehearsed(here), unheard():
                yield app
        finally:
            here.release()
            here.close()


def _mover(declared: Rehearsed, here: Scene) -> Callable[[], object]:
    """Return what makes a forked child go on with the test's store, and never open the queue's own."""
    entered = ExitStack()  # kept, and never left: the child ends where it is
    return lambda: entered.enter_context(declared.rehearsed(here))


def _supplied(fn: Callable[..., Any], deps: Mapping[str, object]) -> Callable[..., Any]:
    """Return `fn` with `deps`, whose signature shows the other parameters alone."""
    parameters = inspect.signature(fn).parameters
    for name in deps:
        if name not in parameters:
            hint = did_you_mean(name, parameters)
            raise ConfigError(f"deps: {getattr(fn, '__name__', fn)} has no parameter {name!r}{hint}")
    supplied: Any = partial(fn, **deps)
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(supplied, name, getattr(fn, name, None))
    supplied.__signature__ = _rest(fn, deps)
    return supplied  # type: ignore[no-any-return]  # a partial takes attributes that no type tells of


def _rest(fn: Callable[..., Any], deps: Mapping[str, object]) -> inspect.Signature:
    try:
        signature = inspect.signature(fn, eval_str=True)
    except NameError:  # of a dependency, perhaps, that is defined where the test is
        signature = inspect.signature(fn)
    kept = [p for name, p in signature.parameters.items() if name not in deps]
    return signature.replace(parameters=kept)


class Clock:
    """The clock of an app, which a test moves."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def now(self) -> "datetime":
        """What it shows, in UTC."""
        return self._app.now

    def advance(self, by: DurationLike) -> None:
        """Move it on, running what becomes due."""
        self._app.advance(by)
