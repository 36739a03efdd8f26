"""A command in a terminal of its own, as a person starts it and ends it with Ctrl-C.

Does: makes a pseudo-terminal the command's controlling terminal, keeps what it shows, types keys;
finds every process that it left behind.

Does not: draw. `text()` is what was written, without control sequences.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import select
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

CTRL_C = "\x03"
_MARK = "SEALCAST_TEST_TERMINAL"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Terminal:
    """A running command."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, mark: str) -> None:
        self.process = process
        self._master = master
        self._mark = mark
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def text(self) -> str:
        """Everything that it wrote so far."""
        return _CONTROL.sub("", self._shown.decode(errors="replace")).replace("\r", "")

    def type(self, keys: str) -> None:
        """Keys as the keyboard sends them; the terminal makes a signal of Ctrl-C."""
        os.write(self._master, keys.encode())

    def wait(self, timeout_s: float) -> int:
        """Its exit code."""
        code = self.process.wait(timeout=timeout_s)
        self._reader.join(timeout=5)
        return code

    def left_behind(self) -> list[str]:
        """The command lines of all processes that it started and that still run."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                # Processes inherit the mark, in whatever session or group they are.
                if f"{_MARK}={self._mark}".encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
        return found

    def _read(self) -> None:
        while True:
            readable, _, _ = select.select([self._master], [], [], 0.2)
            if readable:
                try:
                    data = os.read(self._master, 65536)
                except OSError:  # EIO: the last process that had the terminal open has ended
                    return
                self._shown += data
            elif self.process.poll() is not None:
                return


@contextmanager
def terminal(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    columns: int = 160,
    lines: int = 50,
) -> Iterator[Terminal]:
    """`command` in a terminal; killed at the end if it still runs."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    mark = secrets.token_hex(8)
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", **environment, _MARK: mark},
        start_new_session=True,
        # A session leader without a terminal makes this one its own; then it has Ctrl-C.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    running = Terminal(process, master, mark)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.wait(timeout_s=5)
        os.close(master)
