"""Which paths are on a network file system."""

import pytest

from jobsim.storage.mounts import mounts, network_file_system

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /data rw,relatime shared:2 - autofs systemd-1 rw,fd=53
31 30 0:50 / /data rw,relatime shared:3 - nfs4 filer:/data rw,vers=4.2,hard
32 31 254:1 / /data/local rw,relatime - xfs /dev/vdb rw
33 22 0:51 / /home/me/team\040share rw - cifs //server/share rw
34 22 0:52 / /mnt/far rw master:1 propagate_from:2 - fuse.sshfs me@far: rw
35 22 0:53 / /mnt/disk rw - fuseblk /dev/sdb1 rw
36 22 0:54 / /mnt/plan rw - 9p share rw,trans=virtio
37 22 0:55 / /mnt/both rw - nfs old:/ rw
38 37 254:2 / /mnt/both rw - ext4 /dev/vdc rw
a line that says nothing
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/jobs.db", None),
        ("/data/jobs.db", "nfs4"),
        ("/data/deep/down/jobs.db", "nfs4"),
        ("/data/local/jobs.db", None),
        ("/database/jobs.db", None),
        ("/home/me/team share/jobs.db", "cifs"),
        ("/home/me/team/jobs.db", None),
        ("/mnt/far/jobs.db", "fuse.sshfs"),
        ("/mnt/disk/jobs.db", None),
        ("/mnt/plan/jobs.db", "9p"),
        ("/mnt/both/jobs.db", None),
    ],
)
def test_the_nearest_and_last_mount_counts(path: str, kind: str | None) -> None:
    """A path is on what was mounted nearest above it, and on top where several were."""
    assert network_file_system(path, MOUNTINFO) == kind


def test_where_nothing_is_told_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without such a list is not Linux, and nothing is refused there."""
    monkeypatch.setattr("jobsim.storage.mounts._MOUNTED", type("Absent", (), {"read_text": _absent}))
    assert mounts() == ""
    assert network_file_system("/data/jobs.db", "") is None


def _absent(**_: str) -> str:
    raise FileNotFoundError
