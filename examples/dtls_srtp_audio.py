"""Two processes agree on keys by DTLS and stream a second of sound over SRTP, on loopback."""

import asyncio
import math
import struct
import sys
import time
from typing import Any, cast

from sealcast import DtlsEndpoint, DtlsIdentity, SrtpReceiver, SrtpSender
from sealcast.dtls import Closed, KeysAgreed, PeerRefused, Role

FRAMES, FRAME = 50, 160  # 20 ms each of PCMU (RTP payload type 0), 8000 samples a second


class Leg(asyncio.DatagramProtocol):
    def __init__(self, endpoint: DtlsEndpoint, peer: tuple[str, int] | None) -> None:
        self.endpoint, self.peer, self.loop = endpoint, peer, asyncio.get_running_loop()
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.contexts: asyncio.Future[tuple[SrtpSender, SrtpReceiver]] = self.loop.create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport, self.timer = transport, self.loop.call_soon(self.work)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.peer = self.peer or address  # a real program asks ICE first who the peer is
        if 20 <= data[0] <= 63:  # RFC 7983: DTLS and SRTP share the port
            self.endpoint.receive(time.monotonic(), data)
            self.work()
        elif self.contexts.done():
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


async def main(role: Role, port: int) -> None:
    identity, now = DtlsIdentity.generate(), time.monotonic()
    print(identity.fingerprint(), flush=True)  # what SDP carries to the other side
    endpoint = DtlsEndpoint(role, identity, expected=[sys.stdin.readline().strip()], now=now)
    bind = ("127.0.0.1", port if role == "server" else 0)
    peer = None if role == "server" else ("127.0.0.1", port)
    make = asyncio.get_running_loop().create_datagram_endpoint
    transport, leg = await make(lambda: Leg(endpoint, peer), bind)
    sender, _ = await leg.contexts
    for n in range(FRAMES):
        sound = bytes(int(127 + 120 * math.sin(at / 4)) for at in range(FRAME))
        header = struct.pack("!BBHII", 0x80, 0, n, n * FRAME, ord(role[0]))
        transport.sendto(sender.protect(header + sound), leg.peer)
        await asyncio.sleep(0.02)
    frames = [await asyncio.wait_for(leg.heard.get(), 5) for _ in range(FRAMES - 5)]
    print(f"{role}: heard {len(frames)} frames of {len(frames[0]) - 12} bytes, {sender.profile}")


asyncio.run(main(cast(Role, sys.argv[1]), int(sys.argv[2])))
