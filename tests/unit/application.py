"""The application behind a stand-in front, for tests that ask it over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from tests.unit.native_stand_ins import ANYBODY, FakeFront, FakeIdentity, FakeRelay

from sealcast.codes import CODES, PROBLEM_TYPE
from sealcast.identity import TokenIssuer, TokenKey, TokenVerifier, Verb
from sealcast.identity.accounts import Accounts
from sealcast.identity.authority import Authority
from sealcast.identity.passwords import Price
from sealcast.keying.agreement import Identity, Proof
from sealcast.legs import Ledger
from sealcast.node import config
from sealcast.node.api.app import AppParts, build
from sealcast.node.measure import Measure
from sealcast.node.permission import Permissions
from sealcast.node.pull import Paths
from sealcast.node.sessions import Sessions
from sealcast.node.switchboard import Switchboard
from sealcast.node.ts_ingest import TsIngest
from sealcast.policy import load
from sealcast.streams import Hub, HubLimits

SECRET = "5ec4e7" * 8
_CHEAP = Price(passes=1, lanes=1, memory_kib=64)
STREAM = "venue/stage-1"
OWN_ORIGIN = "https://node.example"
NAMED_ORIGIN = "https://player.example"
US = "spiffe://sealcast.internal/node/us"
FRAGMENT = "application/trickle-ice-sdpfrag"
H264 = "42e01f"
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)


def offer(
    direction: str,
    *,
    video: str = "H264",
    fingerprint: str = FINGERPRINT,
    profile: str = "UDP/TLS/RTP/SAVPF",
    ufrag: str = "peer",
) -> str:
    """An offer as a browser makes it, cut to what matters."""
    codec = {
        "H264": [
            "a=rtpmap:102 H264/90000",
            f"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={H264}",
        ],
        "VP8": ["a=rtpmap:102 VP8/90000"],
    }[video]
    transport = [
        f"a=ice-ufrag:{ufrag}",
        "a=ice-pwd:" + "p" * 24,
        "a=ice-options:trickle",
        *([f"a=fingerprint:{fingerprint}"] if fingerprint else []),
        "a=setup:actpass",
        "a=rtcp-mux",
        f"a={direction}",
    ]
    lines = [
        "v=0",
        "o=- 46117317 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        f"m=video 9 {profile} 102 103",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        *transport,
        *codec,
        "a=rtcp-fb:102 nack",
        "a=rtcp-fb:102 nack pli",
        "a=rtpmap:103 rtx/90000",
        "a=fmtp:103 apt=102",
        f"m=audio 9 {profile} 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        *transport,
        "a=rtpmap:111 opus/48000/2",
    ]
    return "\r\n".join(lines) + "\r\n"


CONFIG = f"""
[streams."{STREAM}"]
publishers = ["token", "spiffe://sealcast.internal/encoder/venue-1"]
[streams.open]
public = true
[streams.certificates-only]
publishers = ["spiffe://sealcast.internal/encoder/other"]
[cors]
origins = ["{NAMED_ORIGIN}"]
[media]
ice_servers = ["stun:stun.example:3478"]
"""


class Node:
    """The application with everything behind it that is not native."""

    def __init__(
        self,
        *,
        grace_s: float = 30.0,
        kept: int = 1000,
        most: int = 100,
        authority: Authority | None = None,
        accounts: Path | None = None,
        ingest: str | None = None,
        rules: str = "",
    ) -> None:
        """`ingest` is the policy by which uploads are taken; without it there is no such way in."""
        self.settings = config.loads(CONFIG + rules)
        self.key = TokenKey.generate()
        # No test of the application waits for Argon2id at its full price.
        self.accounts = Accounts(Path("/nowhere") if accounts is None else accounts, _CHEAP)
        self.relay = FakeRelay()
        self.front = FakeFront()
        self.board = Switchboard(self.relay, Hub(HubLimits(grace_s=grace_s)), Ledger(kept=kept))
        policy = load("standard")
        self.sessions = Sessions(
            self.board,
            ingest=policy,
            delivery=policy,
            node=policy,
            make_identity=FakeIdentity,
            most=most,
            us=Identity(US, Proof.CERTIFICATE),
        )
        permissions = Permissions(self.settings, TokenVerifier(self.key))
        self.ts_ingest = None
        if ingest is not None:
            self.ts_ingest = TsIngest(
                self.board,
                self.front,
                permissions,
                load(ingest),
                local=Identity("node.example", Proof.CERTIFICATE),
            )
        self.paths = Paths()
        self.app = build(
            AppParts(
                switchboard=self.board,
                sessions=self.sessions,
                measure=Measure(self.board),
                permissions=permissions,
                paths=self.paths,
                front=self.front,
                secret=SECRET,
                ts_ingest=self.ts_ingest,
                authority=authority,
                accounts=self.accounts,
                cors_origins=self.settings.cors.origins,
                ice_servers=self.settings.media.ice_servers,
                secure_port=8444,
            )
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url=OWN_ORIGIN,
        )

    def token(
        self, verb: Verb, stream: str = STREAM, *, subject: str = "", age_s: float = 0
    ) -> str:
        now = time.time() - age_s
        return TokenIssuer(self.key).issue(stream, verb, 3600, subject, now=now)

    async def ask(
        self,
        method: str,
        path: str,
        body: str | bytes = b"",
        *,
        media_type: str | None = None,
        token: str | None = None,
        connection: int | str = ANYBODY,
        secret: str = SECRET,
        **headers: str,
    ) -> httpx.Response:
        sent = {"x-sealcast-connection": str(connection), "x-sealcast-secret": secret}
        if media_type is not None:
            sent["content-type"] = media_type
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, content=body, headers=sent)

    async def post(
        self, path: str, body: str | bytes, token: str | None = None, **more: Any
    ) -> httpx.Response:
        more.setdefault("media_type", "application/sdp")
        return await self.ask("POST", path, body, token=token, **more)

    async def publish(self, stream: str = STREAM, **more: Any) -> httpx.Response:
        token = more.pop("token", None) or self.token(Verb.PUBLISH, stream)
        answer = await self.post(f"/whip/{stream}", offer("sendonly"), token, **more)
        assert answer.status_code == 201, answer.text
        return answer

    async def watch(self, stream: str = STREAM, **more: Any) -> httpx.Response:
        token = more.pop("token", None) or self.token(Verb.WATCH, stream)
        return await self.post(f"/whep/{stream}", offer("recvonly"), token, **more)


Check = Callable[[Node], Awaitable[None]]


def behind_the_gate(check: Check, **made: Any) -> Callable[[], None]:
    """A test on a fresh node, in an event loop of its own; `made` is what `Node` takes."""

    def run() -> None:
        async def once() -> None:
            node = Node(**made)
            async with node.client:
                await check(node)

        asyncio.run(once())

    run.__name__ = check.__name__
    run.__doc__ = check.__doc__
    return run


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that has the expected status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM_TYPE
    document: dict[str, Any] = answer.json()
    assert document["code"] == code, document
    assert document["status"] == status
    if code in CODES:
        assert document["title"]
        assert document["remedy"]
        assert document["stage"]
    return document
