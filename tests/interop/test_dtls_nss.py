"""`DtlsEndpoint` against NSS, the TLS library of Firefox: versions, roles, profiles, keys.

The peer is `nss_dtls_peer.c`, built here. It runs on the NSS that Firefox brings: Debian's own
speaks only a draft of DTLS 1.3.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sealcast.testing.requirement import require
from sealcast.testing.waiting import wait_for

require("core", "gcc", "nss-dev", "certutil", "firefox")
from tests.interop.dtls_over_udp import OverUdp, over_udp  # noqa: E402 - needs the core

from sealcast.dtls import (  # noqa: E402
    Closed,
    DtlsEndpoint,
    DtlsIdentity,
    DtlsPolicy,
    HandshakeCompleted,
    KeysAgreed,
    PeerRefused,
)

SOURCE = Path(__file__).with_name("nss_dtls_peer.c")
FIREFOX = Path("/usr/lib/firefox-esr")
NICKNAME = "peer"
PROFILES = {"AES128_CM_SHA1_80": 1, "AEAD_AES_128_GCM": 7, "AEAD_AES_256_GCM": 8}
VERSIONS = {"1.2": "0303", "1.3": "0304"}
GROUPS = {"X25519": 29, "X25519MLKEM768": 4588, "P-256": 23}
END_S = 20.0


@dataclass
class Nss:
    """The built peer and its certificate's database."""

    program: Path
    database: Path
    fingerprint: str

    @contextmanager
    def run(
        self, role: str, port: int, version: str, profiles: list[int], *, leaves: bool
    ) -> Iterator[Running]:
        arguments = (role, str(port), f"sql:{self.database}", NICKNAME, version)
        numbers, ending = ",".join(map(str, profiles)), "leave" if leaves else "stay"
        said = self.database.parent / "said"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [self.program, *arguments, numbers, ending],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"LD_LIBRARY_PATH": str(FIREFOX)},
            )
        try:
            yield Running(process, said)
        finally:
            process.kill()
            process.wait(END_S)


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    said: Path

    def facts(self) -> dict[str, str]:
        lines = self.said.read_text(errors="replace").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def fact(self, name: str) -> str:
        return wait_for(
            lambda: self.facts().get(name),
            what=f"NSS says {name}",
            timeout_s=END_S,
            every_s=0.01,
            explain=self.facts,
        )


@pytest.fixture(scope="module")
def nss(tmp_path_factory: pytest.TempPathFactory) -> Nss:
    folder = tmp_path_factory.mktemp("nss")
    program, database, noise = folder / "nss_dtls_peer", folder / "database", folder / "noise"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "nss", "nspr"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE, *flags],
        check=True,
    )
    database.mkdir()
    noise.write_bytes(secrets.token_bytes(64))
    where = ("-d", f"sql:{database}")
    subprocess.run(["certutil", "-N", *where, "--empty-password"], check=True)
    subprocess.run(
        [
            *("certutil", "-S", *where, "-x", "-n", NICKNAME, "-s", "CN=nss", "-t", ",,"),
            *("-k", "ec", "-q", "nistp256", "-v", "1", "-z", str(noise)),
        ],
        check=True,
        capture_output=True,
    )
    pem = subprocess.run(
        ["certutil", "-L", *where, "-n", NICKNAME, "-a"], check=True, capture_output=True
    ).stdout
    digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
    return Nss(program, database, f"sha-256 {digest.hex(':').upper()}")


@contextmanager
def meeting(
    nss: Nss,
    our_role: str,
    policy: DtlsPolicy,
    *,
    version: str,
    profiles: list[int],
    expected: str | None = None,
    leaves: bool = False,
) -> Iterator[tuple[OverUdp, Running, DtlsIdentity]]:
    """Our endpoint and NSS, each told where the other is."""
    identity = DtlsIdentity.generate()

    def make(now: float) -> DtlsEndpoint:
        return DtlsEndpoint(
            "client" if our_role == "client" else "server",
            identity,
            expected=[expected or nss.fingerprint],
            policy=policy,
            now=now,
        )

    if our_role == "client":
        with nss.run("server", 0, version, profiles, leaves=leaves) as peer:
            port = int(peer.fact("port"))
            with over_udp(make, is_client=True, peer_port=port) as ours:
                yield ours, peer, identity
    else:
        with (
            over_udp(make, is_client=False) as ours,
            nss.run("client", ours.port, version, profiles, leaves=leaves) as peer,
        ):
            yield ours, peer, identity


@pytest.mark.parametrize("our_role", ["client", "server"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("profile", PROFILES)
def test_both_ends_agree_on_everything_and_on_the_keys(
    nss: Nss, our_role: str, version: str, profile: str
) -> None:
    policy = DtlsPolicy(srtp_profiles=(profile,))
    with meeting(nss, our_role, policy, version=version, profiles=[1, PROFILES[profile]]) as (
        ours,
        peer,
        identity,
    ):
        ours.shake_hands()
        facts = ours.get(HandshakeCompleted).facts
        # The server's events come one flight before the client's: NSS must get ours.
        ours.run(lambda: "material" in peer.facts(), what="NSS has its keys")
        theirs = peer.facts()
        print(f"NSS {theirs['nss']} {version} ours={our_role}: {facts.cipher} {facts.group}")
        assert facts.version == version
        assert theirs["version"] == VERSIONS[version]
        assert facts.group is not None
        assert int(theirs["group"]) == GROUPS[facts.group]
        assert int(theirs["profile"]) == PROFILES[profile]
        assert facts.peer is not None
        assert f"sha-256 {facts.peer.sha256}" == nss.fingerprint
        seen = theirs["peer_sha256"].upper()
        pairs = (seen[at : at + 2] for at in range(0, len(seen), 2))
        assert "sha-256 " + ":".join(pairs) == identity.fingerprint()
        assert ours.material().hex() == theirs["material"]
        ours.close()
        assert peer.fact("closed") == "yes"


@pytest.mark.parametrize("our_role", ["client", "server"])
@pytest.mark.parametrize("version", VERSIONS)
def test_nss_is_refused_with_another_fingerprint_and_reads_the_alert(
    nss: Nss, our_role: str, version: str
) -> None:
    foreign = DtlsIdentity.generate().fingerprint()
    with meeting(nss, our_role, DtlsPolicy(), version=version, profiles=[7], expected=foreign) as (
        ours,
        peer,
        _,
    ):
        ours.run(lambda: ours.find(PeerRefused), what="a refusal")
        refusal = ours.get(PeerRefused)
        assert refusal.code == "DTLS.FINGERPRINT_MISMATCH"
        assert refusal.alert_sent == "bad_certificate"
        # In 1.3 a client is done before the server has judged it: NSS reads the alert later.
        told = wait_for(
            lambda: peer.facts().get("failed") or peer.facts().get("closed"),
            what="NSS has read the alert",
            every_s=0.01,
        )
        assert "SSL_ERROR_BAD_CERT_ALERT" in told


def test_nss_1_2_is_refused_by_a_1_3_policy(nss: Nss) -> None:
    policy = DtlsPolicy(min_version="1.3")
    with meeting(nss, "server", policy, version="1.2", profiles=[7]) as (ours, peer, _):
        ours.run(lambda: ours.find(PeerRefused), what="a refusal")
        refusal = ours.get(PeerRefused)
        assert (refusal.code, refusal.alert_sent) == ("DTLS.VERSION_REFUSED", "protocol_version")
        assert "SSL_ERROR_PROTOCOL_VERSION_ALERT" in peer.fact("failed")


@pytest.mark.parametrize("our_role", ["client", "server"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_close_of_nss_reaches_us_by_name(nss: Nss, our_role: str, version: str) -> None:
    with meeting(nss, our_role, DtlsPolicy(), version=version, profiles=[7], leaves=True) as (
        ours,
        _,
        _,
    ):
        ours.run(lambda: ours.find(Closed), what="a close")
        ours.get(KeysAgreed)
        closed = ours.get(Closed)
        assert (closed.code, closed.alert_received) == ("DTLS.CLOSED", "close_notify")
