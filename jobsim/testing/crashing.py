"""Crash injection: a simulated machine that loses power before or after a chosen storage call."""

from enum import StrEnum
from typing import Final, NamedTuple

from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import World
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.troubles import Mishap, Script


class When(StrEnum):
    """On which side of the commit the power fails."""

    BEFORE = "before"
    """Nothing of the call has happened."""

    AFTER = "after"
    """All of it is committed, and the caller never hears of it."""


_MISHAPS: Final = {When.BEFORE: Mishap.DIES_BEFORE, When.AFTER: Mishap.DIES_AFTER}


class CrashPoint(NamedTuple):
    """A moment to die at: before or after the machine's storage call number `call`, from 1."""

    call: int
    when: When


class Mortal(NamedTuple):
    """A machine, the store as it sees it, and the names of the calls that it has made."""

    machine: Machine
    storage: FaultyStorage
    calls: list[str]


def mortal(world: World, storage: Storage, point: CrashPoint | None = None) -> Mortal:
    """Return a machine that dies at `point`: nothing on it runs again, no `finally` either."""
    script = Script({point.call: _MISHAPS[point.when]} if point else {})
    return Mortal(Machine(world.machine()), FaultyStorage(storage, script), script.seen)
