"""Work that is killed at every line: by SIGKILL, so that no handler and no `finally` runs.

A killed process leaves what it has written and nothing else; its memory and its locks go with it.
So a kill at a line leaves the same as a kill at the line before, unless a name, a mode or an octet
of a file has become another in between. `every_line` stops a traced process at each line and looks;
it kills where anything is another, and so has killed at every line at the price of those that
matter.

Does not: kill within a line, that is within a call of SQLite or of the kernel.

The caller must still: let the work write below the given folder only.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from sealcast import identity

ROOM = str(Path(identity.__file__).parent)
Trace = Callable[[FrameType, str, Any], Any]
# A name with its mode and content.
Disk = dict[str, tuple[int, bytes]]


def every_line(work: Callable[[], object], folder: Path, room: str = ROOM) -> Iterator[None]:
    """Kills `work` at its first line in the files below `room`, and at each that finds `folder`
    otherwise than the line before did; at last it is done. Yields after each; then `folder` is as
    it was before, but for the last time.
    """
    with tempfile.TemporaryDirectory(prefix="sealcast-killed-") as before:
        shutil.copytree(folder, before, symlinks=True, dirs_exist_ok=True)
        passed: list[bytes] = []
        while _killed(work, folder, room, passed):
            yield
            _clear(folder)
            shutil.copytree(before, folder, symlinks=True, dirs_exist_ok=True)
        assert len(passed) > 10, "hardly anything was traced"
        yield


def _killed(work: Callable[[], object], folder: Path, room: str, passed: list[bytes]) -> bool:
    """Does `work` again in a process of its own and kills it at the first line that finds `folder`
    otherwise than the last of `passed` did, and appends those that it passed on the way; False if
    the work was over before.
    """
    stops, child_stops = os.pipe()
    child_goes_on, goes_on = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, room, len(passed), child_stops, child_goes_on)
    os.close(child_stops)
    os.close(child_goes_on)
    last: Disk | None = None
    with os.fdopen(stops, "rb") as lines, os.fdopen(goes_on, "wb", buffering=0) as go_on:
        for line in lines:
            now = _disk(folder)
            known = last is None and len(passed) > 0
            if not known:
                passed.append(line)
            if (now != last and not known) or line != passed[-1]:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                # Numbers of lines mean the same only while the work goes the same way.
                assert line == passed[-1], "the work took another way than the last time"
                return True
            last = now
            go_on.write(b".")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the work failed"
    return False


def _work(work: Callable[[], object], room: str, first: int, stops: int, goes_on: int) -> None:
    """In the child: from line number `first` on it names each line and waits to be let on."""
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Trace | None:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(room):
            return None
        if event == "line":
            seen += 1
            if seen >= first:
                os.write(stops, f"{frame.f_code.co_filename}:{frame.f_lineno}\n".encode())
                os.read(goes_on, 1)
        return trace

    try:
        sys.settrace(trace)
        work()
        sys.settrace(None)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _disk(folder: Path) -> Disk:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
