"""What SQLite makes of the files that a power cut left, found out in memory."""

from itertools import count
from typing import Final

import apsw

from jobsim.testing.power_platter import Image

_numbers: Final = count(1)


class Recovery(apsw.VFS):
    """Files of one image, in memory: `recovered` has SQLite recover and copy back all that was committed."""

    def __init__(self) -> None:
        self._name: Final = f"power-recovery-{next(_numbers)}"
        super().__init__(self._name, "unix")
        self.files: dict[str, bytearray] = {}

    def recovered(self, image: Image, database: str) -> bytes:
        """Return the database as it is after recovery, all of it in its one file.

        Raises:
            apsw.Error: it cannot be opened.
        """
        self.files = {name: bytearray(content) for name, content in image.files.items()}
        connection = apsw.Connection(database, vfs=self._name)
        try:
            connection.pragma("locking_mode", "exclusive")  # the WAL's index is kept in memory then
            connection.pragma("user_version")
        finally:
            connection.close()
        return bytes(self.files.get(database, b""))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        flags[1] = flags[0]
        return _MemoryFile(self.files.setdefault(path, bytearray()))  # type: ignore[return-value]

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        self.files.pop(filename, None)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return pathname in self.files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name


class _MemoryFile:
    """One of its files: what APSW asks of a file that inherits nothing."""

    def __init__(self, content: bytearray) -> None:
        self._content = content

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self._content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if len(self._content) < offset:
            self._content.extend(bytes(offset - len(self._content)))
        self._content[offset : offset + len(data)] = data

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        del self._content[newsize:]

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._content)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Do nothing: this is memory."""

    def xLock(self, level: int) -> None:  # noqa: N802
        """Do nothing: nobody else is there."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Do nothing, as there is no lock."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:  # noqa: N802
        """Do nothing: the content is kept."""
