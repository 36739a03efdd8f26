"""An ICE password is a secret from the line that brought it to the call that hands it over."""

from __future__ import annotations

import json
import logging
import pprint
import traceback

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.unit.application import Node, behind_the_gate, offer

from sealcast import wire
from sealcast.identity import Verb
from sealcast.sdp import IceCredentials, parse_fragment, read_offer
from sealcast.secret import Secret

PASSWORD = "p" * 24
FRAGMENT = f"a=ice-ufrag:peer\r\na=ice-pwd:{PASSWORD}\r\nm=video 9 RTP/AVP 0\r\na=mid:0\r\n"
SPEC = wire.LegSpec(
    id=1,
    side="server",
    ice=wire.IceSpec(
        local_ufrag="node",
        local_pwd=Secret(PASSWORD),
        remote_ufrag="peer",
        remote_pwd=Secret(PASSWORD),
    ),
    dtls=wire.DtlsSpec(
        role="passive",
        min_version="1.2",
        max_version="1.3",
        groups="X25519",
        srtp_profiles=("AEAD_AES_128_GCM",),
        fingerprints=(),
    ),
)


@pytest.mark.parametrize(
    "holder",
    [
        IceCredentials("peer", Secret(PASSWORD)),
        read_offer(offer("sendonly")),
        parse_fragment(FRAGMENT),
        SPEC,
        SPEC.ice,
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_nothing_that_holds_a_password_shows_it(
    holder: object, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("x").warning("%s %r", holder, holder)
    shown = [repr(holder), str(holder), f"{holder}", pprint.pformat(holder), caplog.text]
    shown += traceback.format_exception(ValueError(holder))
    assert all("peer" in text for text in shown[:2]), "the fragment, which is no secret, is shown"
    assert not [text for text in shown if PASSWORD in text]


def test_the_native_call_alone_gets_it() -> None:
    told = json.loads(wire.encode(SPEC))
    assert (told["ice"]["local_pwd"], told["ice"]["remote_pwd"]) == (PASSWORD, PASSWORD)


def test_what_is_no_secret_and_no_json_does_not_cross() -> None:
    spec = msgspec.structs.replace(SPEC.ice, local_ufrag=1j)
    with pytest.raises(NotImplementedError, match="complex does not cross"):
        wire.encode(spec)


@behind_the_gate
async def test_a_session_that_the_node_keeps_shows_none(node: Node) -> None:
    token = node.token(Verb.PUBLISH)
    with capture_logs() as lines:
        created = await node.publish(token=token)
        session = node.sessions.get(created.headers["location"].rpartition("/")[2])
    [call] = node.relay.named("add_leg")
    ours = call[1]["ice"]["local_pwd"]
    assert ours in created.text, "the answer needs it"
    for text in (repr(session), repr(lines), repr(node.board.ledger.to_json())):
        assert ours not in text
        assert PASSWORD not in text
