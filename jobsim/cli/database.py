"""The database that reading and operator commands look at; they never make one."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import typer

from jobsim.cli.options import usage
from jobsim.cli.output import note
from jobsim.cli.target import load_queue
from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.masking import masked

if TYPE_CHECKING:
    from jobsim.live.stores import Address
    from jobsim.storage.base import Storage

_PATIENCE_S: Final = 1.0
"""How long a shell waits for the names of queues."""


def is_file(source: str) -> bool:
    """Return whether `source` is the path of a log, and neither a URL nor the queue of an app."""
    return "://" not in source and (":" not in source or Path(source).exists())


@contextmanager
def open_database(where: str, hint: str = "--url") -> "Iterator[Storage]":
    """Open the store that `where`, a URL or ``module:queue``, names, and close it afterwards.

    Raises:
        typer.BadParameter: it names none; the parameter called `hint` is blamed.
        StorageError: there is none yet, or it cannot be opened.
    """
    with usage(hint):
        address = shared_address(where)
        store = address.open(create=False)
    with closing(store):
        if address.caveat:
            note(f"{address}: {address.caveat}")
        yield store


def queue_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the queues whose names begin so, for a shell to complete, where the database is known."""
    where = context.params.get("url") or os.environ.get("JOBSIM_URL")
    if not where or "://" not in where:  # an app would have to be imported
        return []
    names: set[str] = set()
    look = Thread(target=_add_queues, args=(where, names), daemon=True)
    look.start()
    look.join(_PATIENCE_S)  # a server that is away is no reason for a shell to stand still
    return sorted(name for name in tuple(names) if name.startswith(incomplete))


def _add_queues(where: str, names: set[str]) -> None:
    with suppress(ConfigError, StorageError), closing(shared_address(where).open(create=False)) as store:
        names.update({*store.depths(), *store.paused()})


def shared_address(where: str) -> "Address":
    """Return the address of a store that other processes can open, too.

    Raises:
        ConfigError: `where` names no such store.
    """
    from jobsim.live.stores import Address

    address = Address.of(where) if "://" in where else load_queue(where).where
    if not isinstance(address, Address) or address.in_memory:
        raise ConfigError(
            f"{masked(where)} is in the memory of its own process; nothing of it can be reached from here"
        )
    return address
