"""Whose files are private enough to be read as keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sealcast.errors import LocalError
from sealcast.identity.private_files import is_exposed, read_private

ROOT, NODE, FS_GROUP, STAFF = 0, 1000, 2000, 50


def of(mode: int, user: int, group: int) -> os.stat_result:
    return os.stat_result((0o100000 | mode, 1, 1, 1, user, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "user", "group", "exposed"),
    [
        (0o600, NODE, NODE, False),
        (0o400, NODE, NODE, False),
        (0o400, ROOT, FS_GROUP, False),
        # Kubernetes: a Secret in a pod with fsGroup; Debian: ssl-cert.
        (0o440, ROOT, FS_GROUP, False),
        (0o640, ROOT, FS_GROUP, False),
        # Without defaultMode: others read it too.
        (0o644, ROOT, FS_GROUP, True),
        (0o444, ROOT, FS_GROUP, True),
        (0o660, ROOT, FS_GROUP, True),
        (0o460, ROOT, FS_GROUP, True),
        (0o450, ROOT, FS_GROUP, True),
        # Whose group is it? Not ours; root's own; given by somebody who is not root.
        (0o440, ROOT, STAFF, True),
        (0o440, ROOT, ROOT, True),
        (0o440, NODE, FS_GROUP, True),
    ],
)
def test_a_key_is_exposed_unless_root_hands_it_to_a_group_of_this_process(
    mode: int, user: int, group: int, exposed: bool
) -> None:
    assert is_exposed(of(mode, user, group), (NODE, FS_GROUP, ROOT)) is exposed


def test_the_sentence_says_what_the_file_is_and_what_to_set_in_kubernetes(tmp_path: Path) -> None:
    file = tmp_path / "tls.key"
    file.write_bytes(b"a key")
    file.chmod(0o644)
    with pytest.raises(LocalError) as refused:
        read_private(file)
    said = str(refused.value)
    assert said.startswith("IDENTITY.KEY_EXPOSED: A file with a key or passphrase can be read by")
    assert f"{file} has mode 0644, user {os.getuid()}, group " in said
    assert "defaultMode: 0400" in said
    assert "fsGroup" in said
    assert "a key." not in said
