"""A viewer does not hand out frames of a leg that was sealed with something never granted."""

import asyncio

import msgspec
import pytest

from sealcast import wire
from sealcast.client import Frame, ViewerSession
from sealcast.errors import Bug
from sealcast.keying import DtlsClaim, Identity, Proof
from sealcast.policy import Channel, Role, admit, load

DIGEST = ":".join(["AB"] * 32)
CLAIM = DtlsClaim("passive", (wire.FingerprintSpec(algorithm="sha-256", value=DIGEST),))


def sealed(version: str) -> bytes:
    seal = wire.MediaSeal(
        version=version,
        group="X25519",
        srtp_profile="AEAD_AES_128_GCM",
        peer_fingerprint=f"sha-256 {DIGEST}",
    )
    return msgspec.json.encode([wire.LegSealed(leg=1, seal=seal)])


def session() -> ViewerSession:
    strict = load("strict")
    opened = ViewerSession("https://localhost/whep/a", token=None, ca_file=None, policy="strict")
    node = Identity("localhost", Proof.CERTIFICATE)
    opened._grant = admit(CLAIM, Channel("1.3", node), Role.DELIVERY, strict)
    return opened


def test_a_seal_outside_the_grant_ends_the_session_and_its_frames() -> None:
    async def watch() -> None:
        opened = session()
        opened._frames.put_nowait(Frame("video", "H264", b"\0", 0, True, 0))
        opened._take_in(sealed("1.2"))
        with pytest.raises(Bug) as refused:
            await opened.sealed(1)
        assert refused.value.code == "POLICY.OUTSIDE_GRANT"
        with pytest.raises(Bug):
            await anext(opened.frames())

    asyncio.run(watch())


def test_a_seal_inside_the_grant_is_shown() -> None:
    async def watch() -> None:
        opened = session()
        opened._take_in(sealed("1.3"))
        assert (await opened.sealed(1)).version == "1.3"

    asyncio.run(watch())
