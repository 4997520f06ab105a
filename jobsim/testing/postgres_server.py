"""A PostgreSQL server of one's own for tests: real binaries, data that goes when it stops, no root needed.

It listens on a Unix socket in a short temporary directory and nowhere else. Where this process is root, which
PostgreSQL refuses to run as, the server runs as a user without privileges; nothing else of the system is
touched.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, Self

from jobsim.core.errors import StorageError

UNSAFE_BUT_FAST: Final = MappingProxyType({"fsync": "off", "full_page_writes": "off"})
"""What only power loss would show: a killed server keeps every commit all the same."""

_NOBODY: Final = 65534
_BASES: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # a Unix socket's path holds 107 bytes at most
_PATIENCE_S: Final = 60.0
_READY: Final = "database system is ready to accept connections"
_NEEDED: Final = ("initdb", "postgres")


def find_binaries() -> Path | None:
    """Return the directory of a PostgreSQL server's programs: the newest that is installed, or `None`."""
    return next((place for place in _places() if _serves(place)), None)


def _places() -> Iterator[Path]:
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(answer.stdout.strip())
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda place: (len(place.parent.name), place.parent.name), reverse=True)
    if server := shutil.which("postgres"):
        yield Path(server).resolve().parent


def _serves(place: Path) -> bool:
    return all(os.access(place / name, os.X_OK) for name in _NEEDED) and (
        os.getuid() != 0 or _passable(place)
    )


def _passable(place: Path) -> bool:
    """Return whether somebody without privileges gets into a directory."""
    return all(part.stat().st_mode & 0o001 for part in (place, *place.parents))


def _base() -> Path:
    for name in (tempfile.gettempdir(), *_BASES):
        base = Path(name)
        if len(name) <= 40 and base.is_dir() and os.access(base, os.W_OK) and _passable(base):
            return base
    raise StorageError(f"no temporary directory that everybody gets into, tried {', '.join(_BASES)}")


class PostgresServer:
    """A server made anew: `start` or enter it, connect to `dsn`, and `stop` or leave it.

    `settings` are those of its configuration; unless they say otherwise, every commit is on disk when it is
    confirmed.

    Raises:
        StorageError: it cannot be made, or does not start.
    """

    def __init__(self, binaries: Path, settings: Mapping[str, str] | None = None) -> None:
        self._settings = dict(settings or {})
        self._binaries = binaries
        self._directory = Path(tempfile.mkdtemp(prefix="jobsim-pg-", dir=_base()))
        self._data = self._directory / "data"
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=50)
        self._reader: threading.Thread | None = None
        try:
            self._make()
        except BaseException:
            shutil.rmtree(self._directory)
            raise

    @property
    def dsn(self) -> str:
        """Where it is to be found, as libpq takes it."""
        return f"postgresql:///postgres?host={self._directory}&user=postgres"

    @property
    def said(self) -> list[str]:
        """The last lines of the server's log."""
        return list(self._said)

    def _make(self) -> None:
        if os.getuid() == 0:
            os.chown(self._directory, _NOBODY, _NOBODY)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = self._launch("initdb", "-D", str(self._data), *options)
        output, _ = made.communicate()
        if made.returncode:
            raise StorageError(f"initdb failed: {output.strip()}")

    def _launch(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        user = _NOBODY if os.getuid() == 0 else None
        return subprocess.Popen(
            [str(self._binaries / program), *arguments],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            process_group=0,  # a terminal's Ctrl-C is for the tests
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        )

    def start(self) -> Self:
        """Start it, also where it was stopped or killed, and return once it takes connections."""
        socket = ["-h", "", "-k", str(self._directory)]
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        self._process = self._launch("postgres", "-D", str(self._data), *socket, *settings)
        heard, ready = threading.Event(), threading.Event()
        self._reader = threading.Thread(target=self._listen, args=(self._process, heard, ready), daemon=True)
        self._reader.start()
        heard.wait(_PATIENCE_S)
        if not ready.is_set():
            self.stop()
            raise StorageError("PostgreSQL does not start:\n" + "\n".join(self._said))
        return self

    def _listen(
        self, process: "subprocess.Popen[str]", heard: threading.Event, ready: threading.Event
    ) -> None:
        log: IO[str] | None = process.stdout
        with suppress(ValueError):  # it was closed
            for line in log or ():
                self._said.append(line.rstrip())
                if _READY in line:
                    ready.set()
                    heard.set()
        process.wait()
        heard.set()

    def kill(self) -> None:
        """Kill it as a power switch would, with all that serve its connections, and wait for their end."""
        if self._process is not None:
            self._process.kill()
            self._await_end()

    def stop(self, *, at_once: bool = False) -> None:
        """End it, and all connections to it; it can be started again.

        `at_once`: without writing anything, as by PostgreSQL's immediate shutdown; it recovers at the start.
        """
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._await_end()

    def _await_end(self) -> None:
        """Wait until the server has ended, and the last of its children has let go of the log."""
        if self._process is not None and self._reader is not None:
            self._process.wait(_PATIENCE_S)
            self._reader.join(_PATIENCE_S)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = self._reader = None

    def close(self) -> None:
        """Stop it, and remove its data."""
        self.stop()
        shutil.rmtree(self._directory)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()
