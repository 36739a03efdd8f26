"""`sealcast demo` as a person runs it: in a terminal, with a browser's pages, until Ctrl-C."""

from __future__ import annotations

import re
import ssl
import stat
import subprocess
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from sealcast.testing.node_process import COMMAND
from sealcast.testing.requirement import require
from sealcast.testing.terminal import CTRL_C, Terminal, terminal
from sealcast.testing.waiting import wait_for

READY_S = 20.0
STOP_S = 10.0


def test_the_demo_shows_pages_and_sealed_legs_and_ctrl_c_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    require("core")
    state, temporary = tmp_path / "state", tmp_path / "tmp"
    temporary.mkdir()
    source = str(Path(__file__).parents[2] / "src")
    environment = {"TMPDIR": str(temporary), "PYTHONPATH": source}
    with terminal([*COMMAND, "demo", "--state-dir", str(state)], environment) as shown:
        told = wait_for(
            lambda: re.search(
                r"watch +(https://\S+/watch/demo)\n(?s:.*)"
                r"publish +(https://\S+/publish/camera)#token=\S+\n(?s:.*)authority +(\S+)\n",
                shown.text(),
            ),
            what="the addresses",
            timeout_s=READY_S,
            explain=shown.text,
        )
        watch, publish, authority = told.groups()
        for page, title in ((watch, "Watch"), (publish, "Publish")):
            assert f"<title>{title}" in _page(page, authority)
        _wait_for_table(shown, "encoder/demo", "TLS 1.3", "live")
        viewer = subprocess.run(
            [*COMMAND, "watch", watch, "--ca", authority, "--for", "2s"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert viewer.returncode == 0, viewer.stderr
        _wait_for_table(shown, "delivery", "DTLS 1.3", "X25519MLKEM768  AEAD_AES_128_GCM")
        assert any("ffmpeg" in command for command in shown.left_behind())

        shown.type(CTRL_C)
        assert shown.wait(STOP_S) == 0, shown.text()[-3000:]
        assert shown.text().rstrip().endswith("stopping")
        assert "Traceback" not in shown.text()
        assert shown.left_behind() == []
    assert list(temporary.iterdir()) == []
    assert not [path for path in state.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)]
    assert "Traceback" not in (state / "node.log").read_text()


def _page(url: str, authority: str) -> str:
    """What a browser gets that trusts the demo's authority."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=authority)
    connection = HTTPSConnection(parts.netloc, context=context, timeout=10)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def _wait_for_table(shown: Terminal, *words: str) -> None:
    """Waits until the newest drawing of the table has all `words`."""
    wait_for(
        lambda: all(word in shown.text().rpartition("┏")[2] for word in words),
        what=f"a table with {words}",
        explain=lambda: shown.text()[-3000:],
    )
