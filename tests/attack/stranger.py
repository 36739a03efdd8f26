"""Somebody on the network who is no end of any leg: a bare UDP socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from types import TracebackType

from .peer import Address


class Stranger:
    """Sends anything to the node's media port, and keeps what comes back."""

    def __init__(self, to: Address) -> None:
        self._to = to
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.heard: list[bytes] = []

    @property
    def address(self) -> Address:
        host, port = self._socket.getsockname()
        return str(host), int(port)

    @property
    def name(self) -> str:
        """Our address as the ledger writes addresses."""
        return "{}:{}".format(*self.address)

    def send(self, datagrams: Iterable[bytes]) -> None:
        for datagram in datagrams:
            self._socket.sendto(datagram, self._to)

    def listen(self, seconds: float) -> list[bytes]:
        """What came within `seconds`; all of it is in `heard`, too."""
        deadline = time.monotonic() + seconds
        came = []
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                came.append(self._socket.recv(2048))
            except TimeoutError:
                break
        self.heard += came
        return came

    def __enter__(self) -> Stranger:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._socket.close()
