from __future__ import annotations

import pytest

from lora_assets.verdicts.local_disk import share_type

MOUNTS = """overlay / overlay rw 0 0
tmpfs /tmp tmpfs rw 0 0
server:/home /srv nfs4 rw 0 0
C:\\134 /mnt/c 9p rw 0 0
//nas/my\\040pictures /mnt/my\\040nas cifs rw 0 0
/dev/sdb1 /srv/local ext4 rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/project/data/verdicts", "nfs4"),
        ("/srv", "nfs4"),
        ("/srv/local/data", None),  # a disk mounted inside a share
        ("/srvice", None),  # only the start of the name is alike
        ("/mnt/c/Users/me", "9p"),
        ("/mnt/my nas/x", "cifs"),
        ("/opt/x", None),
    ],
)
def test_the_innermost_mount_decides(folder, kind):
    assert share_type(folder, MOUNTS) == kind


def test_this_machine_can_be_asked(tmp_path):
    assert share_type(tmp_path) is None
