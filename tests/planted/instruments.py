"""What finds planted bugs: each instrument is let loose on one, and tells how long it took to find it."""

import inspect
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter  # noqa: TID251  # the table says how long it took
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.stateful import run_state_machine_as_test

from jobsim.storage.base import Storage
from jobsim.storage.troubles import Mishap, Trouble
from jobsim.testing.conformance import StorageConformance
from jobsim.testing.faults import plots
from jobsim.testing.machine_terms import TermsMachine
from jobsim.testing.plays import Play
from jobsim.testing.plots import Fate, Kind, Plot, plot_of
from tests.planted.exploring import explorer_finds

CRASHES = (Mishap.DIES_BEFORE, Mishap.DIES_AFTER, Mishap.LOST_REPLY, Mishap.UNREACHABLE)
EVERYTHING = (Kind.LONG, Kind.LONG, Kind.WORK, Kind.WORK, Kind.SNOOZE, Kind.BAD)


class Found(NamedTuple):
    """That a bug was found: after how many `examples`, in how many `steps` once shrunk, and in what time."""

    examples: int
    seconds: float
    steps: int | None = None


def by_explorer(store: Callable[[], Storage]) -> Found | None:
    """Explore every interleaving of workers, reaper and enqueuers in small scopes; `examples` are states."""
    found = explorer_finds(store)
    return None if found is None else Found(found.states, found.seconds)


def budget(examples: int, *, shrink: bool) -> settings:
    """Return settings by which the same examples are tried, however busy the computer is."""
    return settings(
        max_examples=examples,
        stateful_step_count=50,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        derandomize=True,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def by_machine(store: Callable[[], Storage], examples: int = 400, *, shrink: bool = False) -> Found | None:
    """Let the Hypothesis machine loose on `store`."""
    tried, found, steps = 0, 0, 0

    class Machine(TermsMachine):
        def __init__(self) -> None:
            nonlocal tried, steps
            tried, steps = tried + 1, 0
            super().__init__()

        def open_storage(self) -> Storage:
            return store()

        def check_invariants(self, *args: Any) -> None:
            nonlocal steps
            super().check_invariants(*args)
            steps += 1  # in the end, one for each step that came to its end, and one for that which failed

        def teardown(self) -> None:
            nonlocal found, steps
            try:
                super().teardown()
                if isinstance(sys.exc_info()[1], AssertionError):
                    found = found or tried
            except AssertionError:
                found, steps = found or tried, steps - 1
                raise

    began = perf_counter()
    with suppress(AssertionError):
        run_state_machine_as_test(Machine, settings=budget(examples, shrink=shrink))
        return None
    return Found(found, perf_counter() - began, steps if shrink else None)


def by_conformance(store: Callable[[], Storage]) -> Found | None:
    """Ask `store` all that the conformance suite asks, until it fails."""
    return _by_conformance(lambda _: store(), reopens=False)


def by_conformance_of_files(store: Callable[[Path], Storage]) -> Found | None:
    """Ask a store all that, which keeps its jobs in a directory, and is opened there again."""
    return _by_conformance(store, reopens=True)


def _by_conformance(store: Callable[[Path], Storage], *, reopens: bool) -> Found | None:
    class Suite(StorageConformance):
        def make_storage(self, tmp_path: Path) -> Storage:
            return store(tmp_path)

        def reopens(self) -> bool:
            return reopens

    began = perf_counter()
    for tried, test in enumerate(_tests(Suite()), 1):
        try:
            test()
        except pytest.skip.Exception:
            continue
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a bug may fail in any way
            return Found(tried, perf_counter() - began)
    return None


def _tests(suite: StorageConformance) -> Iterator[Callable[[], None]]:
    """Yield the tests of a suite, a call for each of their cases."""
    for name, test in inspect.getmembers(suite, inspect.ismethod):
        if name.startswith("test_"):
            marks = getattr(test, "pytestmark", [])
            cases = [list(_cases(*mark.args)) for mark in marks if mark.name == "parametrize"]
            for case in product(*cases):
                arguments = {name: value for part in case for name, value in part.items()}
                yield partial(_ask, suite, test, arguments)


def _cases(names: str | tuple[str, ...], values: Any) -> Iterator[dict[str, Any]]:
    """Yield the arguments of every case of a parametrised test."""
    words = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for value in values:
        given = getattr(value, "values", value)  # of `pytest.param`
        yield dict(zip(words, given if len(words) > 1 else [given], strict=True))


def _ask(suite: StorageConformance, test: Callable[..., None], case: dict[str, Any]) -> None:
    wanted = inspect.signature(test).parameters.keys() - case.keys()
    with tempfile.TemporaryDirectory() as directory, closing(suite.make_storage(Path(directory))) as storage:
        known = {"storage": storage, "tmp_path": Path(directory)}
        test(**case, **{name: known[name] for name in wanted})


Make = Callable[[Plot], Play]
"""Plays a plot, with a bug in it."""


def by_seeds(make: Make, seeds: Iterable[int] = range(400)) -> Found | None:
    """Play the plots of `seeds` until something is wrong."""
    began = perf_counter()
    for tried, seed in enumerate(seeds, 1):
        if make(plot_of(seed)).found():
            return Found(tried, perf_counter() - began)
    return None


def by_plots(make: Make, examples: int = 400, *, shrink: bool = False) -> Found | None:
    """Let Hypothesis choose what happens, and shrink it to the jobs and the mishaps that matter."""
    tried, found = 0, 0
    last = Plot(())

    @given(plots())
    @budget(examples, shrink=shrink)
    def holds(plot: Plot) -> None:
        nonlocal tried, found, last
        tried, last = tried + 1, plot
        if wrong := make(plot).found():
            found = found or tried
            raise AssertionError(wrong[0])

    began = perf_counter()
    with suppress(AssertionError):
        holds()
        return None
    return Found(found, perf_counter() - began, len(last.jobs) + last.mishaps if shrink else None)


def by_crashes(make: Make) -> Found | None:
    """Let the first worker die at each of its awaits in turn, and lose the reply to each of its calls."""
    began = perf_counter()
    for tried, plot in enumerate(crashes(), 1):
        if make(plot).found():
            return Found(tried, perf_counter() - began)
    return None


def crashes() -> Iterator[Plot]:
    """Yield plots in which a process dies at each of its awaits, or a call goes wrong, each in turn.

    Those are calls of the second worker, which has to bring back what the first one leaves as it dies.
    """
    for number in range(1, 61):
        yield Plot(EVERYTHING, workers=((Fate(dies=number),), ()))
    for number in range(1, 16):
        yield Plot(EVERYTHING, client=(Fate(dies=number),))
    for how in CRASHES:
        for number in range(1, 46):
            yield Plot(EVERYTHING, workers=((Fate(dies=30),), (Fate({number: Trouble(how)}),)))
        for number in range(1, 6):
            yield Plot(EVERYTHING, client=(Fate({number: Trouble(how)}),))


def by_twice(make: Make, seeds: Iterable[int] = range(20)) -> Found | None:
    """Play each plot twice: it must come out the same, to the byte."""
    began = perf_counter()
    for tried, seed in enumerate(seeds, 1):
        logs = [list(make(plot_of(seed)).storage.events()) for _ in range(2)]
        if logs[0] != logs[1]:
            return Found(tried, perf_counter() - began)
    return None


def tell(
    bug: str,
    instruments: Mapping[str, Callable[[], Found | None]],
    record_property: Callable[[str, object], None],
) -> None:
    """Let all instruments loose on a bug, and give what they found to the table of ``make mutants``."""
    found = {name: result for name, look in instruments.items() if (result := look()) is not None}
    for name, result in found.items():
        record_property("mutant", [bug, name, *result])
    assert len(found) >= 2, f"{bug} was found by {list(found)} only"
