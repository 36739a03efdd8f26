"""`DtlsEndpoint` against OpenSSL's own commands: DTLS 1.2, both roles, keys and close.

``openssl s_server`` and ``s_client`` export the keying material themselves (``-keymatexport``).
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sealcast.testing.requirement import require

require("core", "openssl")
from tests.interop.dtls_over_udp import LOOPBACK, OverUdp, over_udp  # noqa: E402 - needs the core
from tests.interop.openssl_peer import Peer, openssl  # noqa: E402

from sealcast.dtls import (  # noqa: E402
    Authority,
    Closed,
    DtlsEndpoint,
    DtlsIdentity,
    DtlsPolicy,
    HandshakeCompleted,
    PeerRefused,
)

LENGTHS = {"AES128_CM_SHA1_80": 60, "AEAD_AES_128_GCM": 56, "AEAD_AES_256_GCM": 88}


def fingerprint_of(certificate: Path) -> str:
    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return f"sha-256 {digest.hex(':').upper()}"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """OpenSSL's certificate and key."""
    folder = tmp_path_factory.mktemp("openssl")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-subj", "/CN=openssl", "-days", "1"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "extendedKeyUsage=clientAuth,serverAuth"),
            *("-addext", "subjectAltName=DNS:openssl.example"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextmanager
def meeting(
    folder: Path,
    pair: tuple[Path, Path],
    our_role: str,
    profile: str,
    *more: str,
    expected: str | None = None,
    authority: Authority | None = None,
    policy: DtlsPolicy | None = None,
) -> Iterator[tuple[OverUdp, Peer]]:
    """Our endpoint and an openssl that wants a certificate and `profile`."""
    certificate, key = pair
    if expected is None and authority is None:
        expected = fingerprint_of(certificate)
    options = (
        *("-dtls1_2", "-cert", str(certificate), "-key", str(key)),
        *("-use_srtp", f"SRTP_{profile}", "-keymatexport", "EXTRACTOR-dtls_srtp"),
        *("-keymatexportlen", str(LENGTHS[profile]), *more),
    )

    def make(now: float) -> DtlsEndpoint:
        return DtlsEndpoint(
            "client" if our_role == "client" else "server",
            DtlsIdentity.generate(),
            expected=None if expected is None else [expected],
            authority=authority,
            policy=policy or DtlsPolicy(srtp_profiles=(profile,)),
            now=now,
        )

    if our_role == "client":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, 0))
            port = probe.getsockname()[1]
        where = ("-accept", f"{LOOPBACK}:{port}", "-Verify", "1")
        with (
            openssl(folder / "peer", "s_server", *where, *options) as peer,
            over_udp(make, is_client=True, peer_port=port) as ours,
        ):
            yield ours, peer
    else:
        with over_udp(make, is_client=False) as ours:
            to = ("-connect", f"{LOOPBACK}:{ours.port}")
            with openssl(folder / "peer", "s_client", *to, *options) as peer:
                yield ours, peer


@pytest.mark.parametrize("our_role", ["client", "server"])
@pytest.mark.parametrize("profile", LENGTHS)
def test_both_ends_agree_on_everything_and_on_the_keys(
    tmp_path: Path, pair: tuple[Path, Path], our_role: str, profile: str
) -> None:
    with meeting(tmp_path, pair, our_role, profile) as (ours, peer):
        ours.shake_hands()
        pattern = r"^\s*Keying material: ([0-9A-F]+)$"
        ours.run(lambda: re.search(pattern, peer.said, re.MULTILINE), what="openssl has its keys")
        theirs = peer.wait_until_said(pattern)[1]
        facts = ours.get(HandshakeCompleted).facts
        assert bytes.fromhex(theirs) == ours.material()
        ours.close()
        handshake = peer.end()
        print(f"openssl 1.2 ours={our_role}: {facts.cipher} {facts.group} {profile}")
        assert (handshake.version, facts.version) == ("1.2", "1.2")
        assert handshake.cipher == facts.cipher
        assert handshake.srtp_profile == profile
        assert handshake.peer_signature == facts.own_signature
        if our_role == "server":  # its trace cannot read the ServerKeyExchange that it sends
            assert handshake.group == facts.group
            assert handshake.own_signature == facts.peer_signature


def test_a_close_of_openssl_reaches_us_by_name(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    """As client only: ``s_server`` closes its socket before it would say so."""
    with meeting(tmp_path, pair, "server", "AEAD_AES_128_GCM") as (ours, peer):
        ours.shake_hands()
        ours.run(lambda: "Keying material:" in peer.said, what="openssl is done")
        assert peer.process.stdin is not None
        peer.process.stdin.write(b"Q\n")  # its own command to leave
        peer.process.stdin.flush()
        ours.run(lambda: ours.find(Closed), what="a close")
        closed = ours.get(Closed)
        assert (closed.code, closed.alert_received) == ("DTLS.CLOSED", "close_notify")


@pytest.mark.parametrize("our_role", ["client", "server"])
def test_openssl_is_refused_by_fingerprint_and_reads_the_alert(
    tmp_path: Path, pair: tuple[Path, Path], our_role: str
) -> None:
    foreign = DtlsIdentity.generate().fingerprint()
    with meeting(tmp_path, pair, our_role, "AEAD_AES_128_GCM", expected=foreign) as (ours, peer):
        ours.run(lambda: ours.find(PeerRefused), what="a refusal")
        assert ours.get(PeerRefused).alert_sent == "bad_certificate"
        peer.wait_until_said("alert bad certificate|sslv3 alert bad certificate")


@pytest.mark.parametrize("our_role", ["client", "server"])
@pytest.mark.parametrize(
    ("dns", "code"), [("openssl.example", None), ("other.example", "DTLS.NAME_MISMATCH")]
)
def test_openssl_is_judged_by_its_authority_and_name(
    tmp_path: Path, pair: tuple[Path, Path], our_role: str, dns: str, code: str | None
) -> None:
    authority = Authority(pair[0].read_bytes(), dns=dns)
    with meeting(tmp_path, pair, our_role, "AEAD_AES_128_GCM", authority=authority) as (ours, _):
        if code is None:
            ours.shake_hands()
            completed = ours.get(HandshakeCompleted)
            assert (completed.proved_by, completed.proved) == ("authority", dns)
        else:
            ours.run(lambda: ours.find(PeerRefused), what="a refusal")
            assert ours.get(PeerRefused).code == code


@pytest.mark.parametrize("our_role", ["client", "server"])
def test_no_common_srtp_profile_is_refused_by_name(
    tmp_path: Path, pair: tuple[Path, Path], our_role: str
) -> None:
    policy = DtlsPolicy(srtp_profiles=("AEAD_AES_256_GCM",))
    with meeting(tmp_path, pair, our_role, "AES128_CM_SHA1_80", policy=policy) as (ours, _):
        ours.run(lambda: ours.find(PeerRefused), what="a refusal")
        assert ours.get(PeerRefused).code == "DTLS.NO_SRTP_PROFILE"


def test_a_client_without_a_certificate_is_refused_by_name(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    def make(now: float) -> DtlsEndpoint:
        expected = [fingerprint_of(pair[0])]
        return DtlsEndpoint("server", DtlsIdentity.generate(), expected=expected, now=now)

    with over_udp(make, is_client=False) as ours:
        where = ("-connect", f"{LOOPBACK}:{ours.port}", "-dtls1_2")
        with openssl(tmp_path / "peer", "s_client", *where, "-use_srtp", "SRTP_AEAD_AES_128_GCM"):
            ours.run(lambda: ours.find(PeerRefused), what="a refusal")
            refusal = ours.get(PeerRefused)
            assert refusal.code == "DTLS.NO_PEER_CERTIFICATE"
            assert refusal.alert_sent in {"handshake_failure", "certificate_required"}
