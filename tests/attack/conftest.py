"""One node for all attacks, the control legs on it, and what a test needs to attack."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import pytest

from sealcast.identity import TokenIssuer, TokenKey, Verb
from sealcast.node.state_folder import TOKEN_KEY_FILE
from sealcast.testing.node_process import Client, Node, running_node
from sealcast.testing.requirement import require
from sealcast.testing.secrets_seen import SecretsSeen

require("aiortc", "core")  # aiortc brings pyOpenSSL and pylibsrtp
from .control import STREAM, Control, control_legs, running  # noqa: E402 - needs them
from .counters import Counters  # noqa: E402
from .dtls import GCM  # noqa: E402
from .identities import Identities  # noqa: E402
from .peer import Peer, Way, peer  # noqa: E402

# Runs beside all others, so it stands last: 20 s pass between the handshake's begin and its end.
LAST = ("test_vanishing_peer", "test_log_hygiene")


class Tokens(Protocol):
    """Makes tokens of the node's own key."""

    def __call__(
        self, verb: str, stream: str, *, lifetime_s: int = 600, began_s_ago: float = 0.0
    ) -> str: ...


class Join(Protocol):
    """Makes a peer of a stream, with a token for it unless one is given."""

    def __call__(
        self, way: Way, stream: str, *, token: str | None = None, profiles: bytes = GCM
    ) -> Peer: ...


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A peer that stopped in the middle of its handshake: its address."""

    remote: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the two that want to be last there; all others keep their order."""
    items.sort(key=lambda item: LAST.index(item.path.stem) + 1 if item.path.stem in LAST else 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the node said."""
    report = yield
    node = getattr(item, "funcargs", {}).get("attacked")
    if report.failed and isinstance(node, Node):
        report.sections.append(("what the node said last", node.output()[-4000:]))
    return report


@pytest.fixture(scope="session")
def secrets_seen() -> SecretsSeen:
    return SecretsSeen()


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory, secrets_seen: SecretsSeen) -> Iterator[Node]:
    """The node under attack. It ends with code 0, and what it says while it stops tells no
    secret either.
    """
    with running_node(tmp_path_factory.mktemp("attacked")) as node:
        yield node
    assert secrets_seen.found_in(node.output()) == []


@pytest.fixture(scope="session")
def admin(attacked: Node) -> Client:
    return attacked.client("admin/attack-tests")


@pytest.fixture(scope="session")
def counters(attacked: Node, admin: Client) -> Counters:
    return Counters(attacked, admin)


@pytest.fixture(scope="session")
def identities(attacked: Node, tmp_path_factory: pytest.TempPathFactory) -> Identities:
    return Identities(attacked, tmp_path_factory.mktemp("identities"))


@pytest.fixture(scope="session")
def tokens(attacked: Node, secrets_seen: SecretsSeen) -> Tokens:
    """Issues as `sealcast token` does, without a process for each, and at any time of day."""
    issuer = TokenIssuer(TokenKey.load_or_create(attacked.state / TOKEN_KEY_FILE))

    def issue(verb: str, stream: str, *, lifetime_s: int = 600, began_s_ago: float = 0.0) -> str:
        now = time.time() - began_s_ago
        token = issuer.issue(stream, Verb(verb), lifetime_s, now=now)
        return secrets_seen.add(f"a token to {verb}", token)

    return issue


@pytest.fixture(scope="session")
def control(attacked: Node, secrets_seen: SecretsSeen) -> Iterator[Control]:
    """The control legs, with tokens as a user makes them."""
    publish, watch = (
        secrets_seen.add(f"the control token to {verb}", attacked.token(verb, STREAM))
        for verb in ("publish", "watch")
    )
    with control_legs(attacked, publish, watch) as legs:
        for end in (legs.publisher.peer, legs.viewer.peer):
            _remember(secrets_seen, end)
        yield legs


@pytest.fixture(autouse=True)
def no_frame_of_another_leg_is_lost(control: Control) -> Iterator[None]:
    """Holds for every attack: the control viewer gets every frame that is sent meanwhile."""
    before = control.newest()
    yield
    control.assert_unharmed(since=before)


@pytest.fixture
def join(attacked: Node, tokens: Tokens, secrets_seen: SecretsSeen) -> Iterator[Join]:
    """Peers that leave with the test."""
    with ExitStack() as peers:
        made: list[Peer] = []

        def new(way: Way, stream: str, *, token: str | None = None, profiles: bytes = GCM) -> Peer:
            if token is None:
                token = tokens("publish" if way == "whip" else "watch", stream)
            joined = peers.enter_context(peer(attacked, way, stream, token, profiles=profiles))
            made.append(joined)
            return joined

        yield new
        for joined in made:
            _remember(secrets_seen, joined)


@pytest.fixture(scope="session", autouse=True)
def vanished(attacked: Node, tokens: Tokens, secrets_seen: SecretsSeen) -> Unfinished:
    """Sends a ClientHello and is gone. Begins with the first test, so that nobody has to wait
    for its time to run out.
    """
    left = Peer(attacked, "whip", "unfinished/vanished", tokens("publish", "unfinished/vanished"))
    left.signal()
    left.find_path()
    left.send(left.dtls.start())
    remote = left.remote
    left.close()
    _remember(secrets_seen, left)
    return Unfinished(remote)


@pytest.fixture(scope="session", autouse=True)
def stalled(attacked: Node, tokens: Tokens, secrets_seen: SecretsSeen) -> Iterator[Unfinished]:
    """Sends a ClientHello and then answers checks only.

    It sends none: when the node has given it up, they would count among what other tests drop.
    """
    silent = Peer(attacked, "whip", "unfinished/stalled", tokens("publish", "unfinished/stalled"))
    silent.signal()
    silent.find_path()
    silent.send(silent.dtls.start())
    silent.hears_dtls = False
    silent.keeps_consent = False
    with running(silent, sends=False):
        yield Unfinished(silent.remote)
    silent.close()
    _remember(secrets_seen, silent)


def _remember(secrets_seen: SecretsSeen, end: Peer) -> None:
    secrets_seen.add("an ICE password of the peer", end.offer.pwd)
    if end.session is not None:
        secrets_seen.add("an ICE password of the node", end.session.pwd)
        secrets_seen.add("the address of a session", end.session.path.rpartition("/")[2])
