"""On which kind of file system a path is, as far as Linux tells; other systems are not asked."""

import re
from pathlib import Path
from typing import Final

_MOUNTED: Final = Path("/proc/self/mountinfo")

_NETWORK: Final = frozenset(
    (
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "blobfuse",
        "blobfuse2",
        "ceph",
        "ceph-fuse",
        "cifs",
        "coda",
        "davfs",
        "fhgfs",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "gpfs",
        "juicefs",
        "lizardfs",
        "lustre",
        "mfs",
        "moosefs",
        "mount-s3",
        "mountpoint-s3",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "rclone",
        "s3fs",
        "smb3",
        "smbfs",
        "smbnetfs",
        "sshfs",
    )
)
"""Some of these come by FUSE, and are called ``fuse.sshfs`` and the like."""


def mounts() -> str:
    """Return what is mounted where, as Linux lists it for this process; nothing on other systems."""
    try:
        return _MOUNTED.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def network_file_system(path: str, mountinfo: str) -> str | None:
    """Return the kind of the network file system that an absolute path without links is on; `None`: on none.

    `mountinfo` is as proc(5) describes it: in each line the mount point is the fifth field, and the kind is
    what follows a single dash. A mount hides what was at its place before.
    """
    parents = {str(parent) for parent in (Path(path), *Path(path).parents)}
    longest, found = 0, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        point = _unescaped(fields[4]) if len(fields) > 4 else ""
        if point in parents and len(point) >= longest:
            longest, found = len(point), kind
    return found if found.removeprefix("fuse.").lower() in _NETWORK else None


def _unescaped(text: str) -> str:
    """Return a field as it was: spaces and the like are written as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
