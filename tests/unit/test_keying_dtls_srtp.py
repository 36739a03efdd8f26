"""What an offer claims about DTLS-SRTP."""

import pytest
from tests.unit.offers import ALL, captured

from sealcast.errors import RemoteError
from sealcast.keying import Identity, Proof, dtls_srtp
from sealcast.keying.agreement import UNPROVED
from sealcast.sdp import read_offer

CHROMIUM = captured("chromium-publish")
LINE = next(line for line in CHROMIUM.splitlines() if line.startswith("a=fingerprint:"))


def digest(algorithm: str, size: int, byte: str = "AB") -> str:
    return f"a=fingerprint:{algorithm} {':'.join([byte] * size)}"


def claimed(*fingerprints: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The digests that count and the hashes that are ignored, for an offer with these lines."""
    claim = dtls_srtp.claim(read_offer(CHROMIUM.replace(LINE, "\r\n".join(fingerprints))))
    return tuple(f"{p.algorithm} {p.value[:2]}" for p in claim.fingerprints), claim.ignored


@pytest.mark.parametrize("name", [name for name in ALL if "data-channel" not in name])
def test_every_real_offer_makes_a_claim(name: str) -> None:
    claim = dtls_srtp.claim(read_offer(captured(name)))
    assert len(claim.fingerprints) == 1
    assert claim.role == ("active" if name == "ffmpeg9-publish" else "passive")


def test_of_three_hashes_only_the_strongest_counts() -> None:
    claim = dtls_srtp.claim(read_offer(captured("aiortc-publish")))
    assert [entry.algorithm for entry in claim.fingerprints] == ["sha-512"]
    assert claim.ignored == ("sha-256", "sha-384")


def test_several_digests_of_the_strongest_hash_are_all_admissible() -> None:
    assert claimed(digest("sha-256", 32, "AA"), digest("sha-256", 32, "BB")) == (
        ("sha-256 AA", "sha-256 BB"),
        (),
    )


def test_a_weak_hash_beside_a_strong_one_is_ignored_and_named() -> None:
    assert claimed(digest("sha-1", 20), digest("SHA-256", 32)) == (("sha-256 AB",), ("sha-1",))


@pytest.mark.parametrize(("algorithm", "size"), [("sha-1", 20), ("md5", 16), ("sha3-256", 32)])
def test_nothing_but_weak_or_unknown_hashes_is_refused(algorithm: str, size: int) -> None:
    with pytest.raises(RemoteError) as refused:
        claimed(digest(algorithm, size))
    assert refused.value.code == "SDP.WEAK_FINGERPRINT"
    assert algorithm in refused.value.detail


def test_an_offer_without_a_fingerprint_is_refused() -> None:
    with pytest.raises(RemoteError) as refused:
        claimed("a=x-nothing")
    assert refused.value.code == "SDP.NO_FINGERPRINT"


def test_more_digests_than_a_peer_has_certificates_are_refused() -> None:
    with pytest.raises(RemoteError) as refused:
        claimed(*(digest("sha-256", 32, f"{n:02X}") for n in range(9)))
    assert refused.value.code == "SDP.TOO_LARGE"


def test_a_fingerprint_of_the_session_serves_and_that_of_the_section_wins() -> None:
    of_session = CHROMIUM.replace(LINE, "a=x-nothing").replace(
        "t=0 0\r\n", f"t=0 0\r\n{digest('sha-256', 32, 'CC')}\r\n"
    )
    assert dtls_srtp.claim(read_offer(of_session)).fingerprints[0].value.startswith("CC")
    both = CHROMIUM.replace("t=0 0\r\n", f"t=0 0\r\n{digest('sha-512', 64, 'CC')}\r\n")
    assert dtls_srtp.claim(read_offer(both)).fingerprints[0].algorithm == "sha-256"


ROLES = [
    ("a=setup:actpass", "passive"),
    ("a=setup:active", "passive"),
    ("a=x-nothing", "passive"),
    ("a=setup:passive", "active"),
]


@pytest.mark.parametrize(("line", "role"), ROLES)
def test_we_are_passive_unless_the_offer_is(line: str, role: str) -> None:
    offer = read_offer(CHROMIUM.replace("a=setup:actpass", line))
    assert dtls_srtp.claim(offer).role == role


def test_an_offer_that_holds_the_connection_is_refused() -> None:
    with pytest.raises(RemoteError) as refused:
        dtls_srtp.claim(read_offer(CHROMIUM.replace("setup:actpass", "setup:holdconn")))
    assert refused.value.code == "SDP.BAD_SETUP"


def test_two_unproved_ends_are_never_the_same() -> None:
    assert not UNPROVED.same_as(UNPROVED)
    assert not Identity("a", Proof.UNPROVED).same_as(Identity("a", Proof.UNPROVED))


def test_the_same_name_proved_in_another_way_is_another_end() -> None:
    token, certificate = Identity("a", Proof.TOKEN), Identity("a", Proof.CERTIFICATE)
    assert token.same_as(Identity("a", Proof.TOKEN))
    assert not token.same_as(certificate)
