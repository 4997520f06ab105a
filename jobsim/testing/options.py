"""What a run of pytest says of crash tests. Light to import: the plugin is loaded by every run there is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.masking import masked

STORAGES: Final = ("memory", "sqlite", "postgres")
_MODES: Final = ("all", "off", "sample:200")


@dataclass(frozen=True, slots=True)
class Options:
    """The stores of tests that name none, how many crashes to try at most, and the seed of all chance.

    `crashes` is for each test, store and number of deaths; `None` for all, 0 for none. `replay` is the token
    of the one run to make, `dsn` where a PostgreSQL server and a database are. The ids of tests begin in the
    directory `root`, and pytest was called in the directory `here`.

    Raises:
        ConfigError: one cannot be used.
    """

    storages: tuple[str, ...] = ("memory",)
    crashes: int | None = None
    seed: int = 1
    replay: str = ""
    dsn: str = ""
    root: str = ""
    here: str = ""

    @classmethod
    def of(
        cls,
        *,
        storage: str = "",
        crash: str = "",
        seed: str = "",
        replay: str = "",
        dsn: str = "",
        root: str = "",
        here: str = "",
    ) -> Self:
        """Return what texts say; an empty one says nothing."""
        names = tuple(name.strip() for name in (storage or "memory").split(","))
        for name in names:
            check_storage(name, "--jobsim-storage")
        if seed and not seed.isdecimal():
            raise ConfigError(f"--jobsim-seed: {seed!r} is not a whole number, at least 0")
        dsn = dsn or os.environ.get("JOBSIM_TEST_POSTGRES_DSN", "")
        if dsn and not dsn.startswith(("postgresql://", "postgres://")):
            raise ConfigError(
                f"--jobsim-postgres-dsn: {masked(dsn)!r} is no URL; write postgresql://user@host/database"
            )
        return cls(names, _crashes(crash or "all"), int(seed or 1), replay, dsn, root, here)

    def __str__(self) -> str:
        crashes = {None: "all", 0: "off"}.get(self.crashes, f"sample:{self.crashes}")
        told = f"storage {','.join(self.storages)}, crash {crashes}, seed {self.seed}"
        return f"{told}, replay {self.replay}" if self.replay else told


def check_storage(name: str, where: str) -> None:
    """Refuse what is no kind of store.

    Raises:
        ConfigError: it is none.
    """
    if name not in STORAGES:
        known = ", ".join(STORAGES)
        raise ConfigError(f"{where}: {name!r} is no store{did_you_mean(name, STORAGES)}; those are {known}")


def _crashes(text: str) -> int | None:
    match text.partition(":"):
        case ("all", "", ""):
            return None
        case ("off", "", ""):
            return 0
        case ("sample", ":", number) if number.isdecimal() and int(number):
            return int(number)
    hint = did_you_mean(text, _MODES)
    raise ConfigError(f"--jobsim-crash: {text!r} is neither all nor off nor sample:N{hint}")


_IN_FORCE: Final = [Options()]


def in_force() -> Options:
    """Return the options of the run of pytest that is under way, or the usual ones."""
    return _IN_FORCE[-1]


@contextmanager
def put_in_force(options: Options) -> Iterator[None]:
    """Have `options` for a while: a run of pytest may be made within another."""
    _IN_FORCE.append(options)
    try:
        yield
    finally:
        _IN_FORCE.remove(options)


@dataclass(slots=True)
class Search:
    """Whether some input of a test led to the run to replay, and whether some did not."""

    met: bool = False
    missed: bool = False


_SEARCHES: Final = [Search()]


def search() -> Search:
    """Return the search of the test that is under way."""
    return _SEARCHES[-1]


@contextmanager
def searching() -> Iterator[Search]:
    """Begin a search anew, for one test."""
    begun = Search()
    _SEARCHES.append(begun)
    try:
        yield begun
    finally:
        _SEARCHES.pop()
