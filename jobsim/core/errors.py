"""Errors a person reads: what was wrong, where, and what to do."""

import difflib
from collections.abc import Iterable


class JobsimError(Exception):
    """Base of every error jobsim raises on purpose; its text is one clear sentence."""


class ConfigError(JobsimError, ValueError):
    """A value a person wrote (policy, scenario, option, URL) cannot be used."""


class PayloadError(JobsimError, ValueError):
    """Arguments or a result cannot be stored as JSON, or stored JSON cannot be decoded."""


class UnknownKind(JobsimError, LookupError):
    """A job names a kind for which this process has no handler."""


class NotFound(JobsimError, LookupError):
    """No job has the given id."""


class KeyTaken(JobsimError):
    """Another job, not yet final, holds the unique key; nothing of the call was kept."""


class Abandoned(JobsimError):
    """An attempt is over while its handler still runs: nobody wants what it returns any more."""


class IllegalTransition(JobsimError):
    """An event arrived in a state for which the transition table has no entry."""


class SelfCheckFailed(JobsimError):
    """A simulated run broke a law that every run keeps: its numbers mean nothing, and something is wrong
    with jobsim, or with a store or model of one's own."""


class StorageError(JobsimError):
    """The store could not do what was asked; nothing of the call was kept."""


class IdTaken(StorageError):
    """A job of this id is there already; nothing of the call was kept."""


class StorageBusy(StorageError):
    """Another process held the store's lock for longer than we were willing to wait; retry."""


class StorageUnavailable(StorageError):
    """The server of the store cannot be reached just now; retry. Where the connection was lost during a
    commit, the message says that nobody knows whether the call was kept; made again by the same process,
    with the same arguments but for the time, it answers as it would have then. A limit or a pause is put in
    force again by that, whatever was meanwhile."""


class StorageFull(StorageError):
    """The disk is full; nothing of the call was kept."""


class StorageReadOnly(StorageError):
    """The store may not be written by this process."""


class StorageForeign(StorageError):
    """The file or schema is not jobsim's, is corrupt, or is newer than this version."""


class StorageBroken(StorageError):
    """The disk failed to confirm a write. The process must end: nobody knows whether the call was kept,
    and what can be read back afterwards may be lost all the same."""


class PowerLost(BaseException):
    """The machine is to die here: raised by injected faults, for a simulated machine to end itself by.

    Not an `Exception`, so that nothing between handles it.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known word nearest to `word`, or an empty string."""
    nearest = difflib.get_close_matches(word, map(str, known), n=1, cutoff=0.6)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""
