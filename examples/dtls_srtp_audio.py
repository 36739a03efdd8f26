"""Two processes agree on keys by DTLS and stream a second of sound over SRTP, on loopback."""

import asyncio
import math
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any, cast

from sealcast import DtlsEndpoint, DtlsIdentity, SrtpReceiver, SrtpSender
from sealcast.dtls import Closed, KeysAgreed, PeerRefused, Role
from sealcast.errors import SrtpError

FRAMES, FRAME = 50, 160  # 20 ms each of PCMU (RTP payload type 0), 8000 samples a second


class Leg(asyncio.DatagramProtocol):
    def __init__(self, endpoint: DtlsEndpoint, peer: tuple[str, int]) -> None:
        self.endpoint, self.peer, self.loop = endpoint, peer, asyncio.get_running_loop()
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.contexts: asyncio.Future[tuple[SrtpSender, SrtpReceiver]] = self.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport, self.timer = transport, self.loop.call_soon(self.work)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if not data or address != self.peer:
            return  # an address can be forged: this keeps out noise, the keys keep out the rest
        if 20 <= data[0] <= 63:  # RFC 7983: DTLS and SRTP share the port
            self.endpoint.receive(time.monotonic(), data)
            self.work()
        elif self.contexts.done():
            with suppress(SrtpError):  # damaged, forged or repeated: `totals()` counts them
                self.heard.put_nowait(self.contexts.result()[1].unprotect(data))

    def work(self) -> None:
        self.endpoint.tick(time.monotonic())
        for datagram in self.endpoint.drain():
            self.transport.sendto(datagram, self.peer)
        for event in self.endpoint.events():
            if isinstance(event, KeysAgreed):
                self.contexts.set_result(event.keys.contexts())
            elif isinstance(event, PeerRefused | Closed) and not self.contexts.done():
                self.contexts.set_exception(ConnectionError(f"{event.code} {event.detail}"))
        self.timer.cancel()
        if (due := self.endpoint.deadline) is not None:
            self.timer = self.loop.call_at(due, self.work)


async def talk(endpoint: DtlsEndpoint, local: socket.socket, peer: tuple[str, int]) -> str:
    make = asyncio.get_running_loop().create_datagram_endpoint
    transport, leg = await make(lambda: Leg(endpoint, peer), sock=local)
    sender, _ = await leg.contexts
    for n in range(FRAMES):
        sound = bytes(int(127 + 120 * math.sin(at / 4)) for at in range(FRAME))
        header = struct.pack("!BBHII", 0x80, 0, n, n * FRAME, local.getsockname()[1])
        transport.sendto(sender.protect(header + sound), peer)
        await asyncio.sleep(0.02)
    frames = [await asyncio.wait_for(leg.heard.get(), 5) for _ in range(FRAMES)]
    endpoint.close(time.monotonic())
    leg.work()  # tells the peer
    return f"heard {len(frames)} frames of {len(frames[0]) - 12} bytes, {sender.profile}"


local, identity = socket.socket(type=socket.SOCK_DGRAM), DtlsIdentity.generate()
local.bind(("127.0.0.1", 0))
print(local.getsockname()[1], identity.fingerprint(), flush=True)  # what SDP carries to the peer
port, _, proof = sys.stdin.readline().strip().partition(" ")
end = DtlsEndpoint(cast(Role, sys.argv[1]), identity, expected=[proof], now=time.monotonic())
print(asyncio.run(talk(end, local, ("127.0.0.1", int(port)))))
