"""A wire to a PostgreSQL server that breaks when it is told to."""

import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_NAME = ".s.PGSQL.5432"


class LossyWire:
    """Passes on what clients and the server of `dsn` say to each other, at the address `dsn` of its own.

    With `losing` set, the next commit is lost, or the reply to it, and the connection as well. With `down`
    set, no new connection is let through, and those that are open are lost with that one. Of what is
    ``asked`` or ``answered`` so many bytes get through as are `left`; then the connection breaks.
    """

    def __init__(self, dsn: str) -> None:
        place = conninfo_to_dict(dsn)
        self._server = f"{place['host']}/{_NAME}"
        self._directory = tempfile.TemporaryDirectory(prefix="wire-", dir="/tmp")
        self.dsn = make_conninfo(dsn, host=self._directory.name)
        self.losing: Literal["commit", "reply"] | None = None
        self.down = False
        self.left: dict[str, int] = {}
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(Path(self._directory.name) / _NAME))
        self._door.listen()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._admit, daemon=True).start()

    def _admit(self) -> None:
        with suppress(OSError):  # the door is closed
            while True:
                client, _ = self._door.accept()
                if self.down:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while said := client.recv(1 << 20):
                if (last := self._last("asked", said)) is not None:
                    server.sendall(last)
                    _cut(client)
                    break
                if self.losing and b"COMMIT\0" in said:
                    lost, self.losing = self.losing, None
                    _cut(client, *(self._open if self.down else ()), but=server)
                    if lost == "commit":
                        break
                server.sendall(said)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)  # which hears what was said before

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        said = b"-"
        while said:
            said = server.recv(1 << 20)
            if (last := self._last("answered", said)) is not None:
                said = last
                _cut(server)
            with suppress(OSError):
                client.sendall(said)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _last(self, way: str, said: bytes) -> bytes | None:
        """Return what still gets through of what was `said`, if the connection breaks within it."""
        left = self.left.pop(way, None)
        if left is None or left < len(said):
            return None if left is None else said[:left]
        self.left[way] = left - len(said)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _cut(self._door, *self._open)
        for end in (self._door, *self._open):
            end.close()
        self._directory.cleanup()


def _cut(*ends: socket.socket, but: socket.socket | None = None) -> None:
    for end in ends:
        if end is not but:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
