"""Verifiers of certificate chains by five makers, each asked the same question.

Does: says whether a chain is good for one side of a handshake below a root, at the machine's time,
and for a host if one is named: BoringSSL by our own judge and then in a handshake of our own,
OpenSSL and GnuTLS by their tools, NSS by `nss_judge.c`, `cryptography` (pyca) in this process.

Does not: compare SPIFFE IDs with expected ones; that is the caller's in every one of them.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from tests.unit.dtls_link import BEGAN, ENDS, V1_3, Link, other

from sealcast.dtls import (
    Authority,
    Closed,
    DtlsEndpoint,
    DtlsIdentity,
    HandshakeCompleted,
    PeerRefused,
)
from sealcast.errors import LocalError, SealcastError
from sealcast.identity.keys import PrivateKey
from sealcast.identity.profiles import Side
from sealcast.secret import Secret


@dataclass(frozen=True, slots=True)
class Chain:
    """What an end presents, as DER; its key; and the root that it is judged by."""

    leaf: bytes
    between: tuple[bytes, ...]
    root: bytes
    key: PrivateKey | RSAPrivateKey

    @classmethod
    def of(
        cls,
        leaf: x509.Certificate,
        between: tuple[x509.Certificate, ...],
        root: x509.Certificate,
        key: PrivateKey,
    ) -> Self:
        encoded = [one.public_bytes(Encoding.DER) for one in (leaf, *between, root)]
        return cls(encoded[0], tuple(encoded[1:-1]), encoded[-1], key)

    @property
    def chain_pem(self) -> bytes:
        return armoured(self.leaf, *self.between)

    @property
    def root_pem(self) -> bytes:
        return armoured(self.root)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def armoured(*certificates: bytes) -> bytes:
    """As PEM, whatever is in them."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode()


Verdict = str | None
"""Why not; None is a yes."""


def boringssl(chain: Chain, side: Side, _folder: Path, host: str | None = None) -> Verdict:
    by = Authority(chain.root_pem, dns=host)
    try:
        by.judge((chain.leaf, *chain.between), side.value)
    except SealcastError as refusal:
        return refusal.code
    try:
        peer = DtlsIdentity.from_pem(chain.chain_pem, Secret(chain.key_pem))
    except LocalError:
        return None  # nothing that an end of ours would present; the engine's word stands alone
    return _handshake(by, side, peer)


def _handshake(by: Authority, side: Side, peer: DtlsIdentity) -> Verdict:
    judge = other(side.value)
    own = DtlsIdentity.generate()
    ends = {
        judge: DtlsEndpoint(judge, own, authority=by, policy=V1_3, now=BEGAN),
        side.value: DtlsEndpoint(
            side.value, peer, expected=[own.fingerprint()], policy=V1_3, now=BEGAN
        ),
    }
    link = Link(ends["client"], ends["server"])
    link.run(lambda now: now.is_decided(judge))
    told = [event for end in ENDS for event in link.told[end]]
    over = [event.code for event in told if isinstance(event, PeerRefused | Closed)]
    completed = any(isinstance(event, HandshakeCompleted) for event in link.told[judge])
    assert over or completed, told
    return None if completed else over[0]


def openssl(chain: Chain, side: Side, folder: Path, host: str | None = None) -> Verdict:
    files = _files(chain, folder)
    return _ran(
        # What Debian asks of every connection: keys of 112 bits and no SHA-1.
        *("openssl", "verify", "-x509_strict", "-auth_level", "2", "-purpose", f"ssl{side}"),
        *_host_words(host),
        *("-CAfile", files["root"], "-untrusted", files["between"], files["leaf"]),
    )


def _host_words(host: str | None) -> tuple[str, ...]:
    if host is None:
        return ()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ("-verify_hostname", host)
    return ("-verify_ip", host)


def gnutls(chain: Chain, side: Side, folder: Path, host: str | None = None) -> Verdict:
    files = _files(chain, folder)
    return _ran(
        *("certtool", "--verify", "--load-ca-certificate", files["root"]),
        *(() if host is None else ("--verify-hostname", host)),
        *("--verify-purpose", side.usage.dotted_string, "--infile", files["chain"]),
    )


def nss(chain: Chain, side: Side, folder: Path, host: str | None = None) -> Verdict:
    files = []
    for number, certificate in enumerate((chain.root, chain.leaf, *chain.between)):
        files.append(folder / f"{number}.der")
        files[-1].write_bytes(certificate)
    return _ran(str(nss_judge()), side.value, host or "-", *map(str, files))


@functools.cache
def nss_judge() -> Path:
    """The judge on NSS, built once per run."""
    program = Path(tempfile.mkdtemp()) / "nss_judge"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "nss", "nspr"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    ).stdout.split()
    source = Path(__file__).with_name("nss_judge.c")
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags],
        check=True,
        timeout=120,
    )
    return program


def pyca(chain: Chain, side: Side, _folder: Path, host: str | None = None) -> Verdict:
    leaf, root, *between = map(
        x509.load_der_x509_certificate, (chain.leaf, chain.root, *chain.between)
    )
    builder = PolicyBuilder().store(Store([root]))
    try:
        if side is Side.CLIENT:
            builder.build_client_verifier().verify(leaf, between)
        else:
            # Its verifier of servers wants a name; the one that the certificate has.
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            kinds = x509.DNSName | x509.IPAddress
            own = next((name for name in names.value if isinstance(name, kinds)), _NO_HOST)
            wanted = own if host is None else x509.DNSName(host)
            builder.build_server_verifier(wanted).verify(leaf, between)
    except VerificationError as error:
        return str(error)
    return None


class Verifier(Protocol):
    def __call__(
        self, chain: Chain, side: Side, folder: Path, host: str | None = None, /
    ) -> Verdict: ...


VERIFIERS: dict[str, tuple[Verifier, tuple[str, ...]]] = {
    "BoringSSL": (boringssl, ("core",)),
    "OpenSSL": (openssl, ("openssl",)),
    "GnuTLS": (gnutls, ("certtool",)),
    "NSS": (nss, ("gcc", "nss-dev")),
    "pyca": (pyca, ()),
}
"""Each with what it needs of the machine."""


_NO_HOST = x509.DNSName("no.name.example")


def _files(chain: Chain, folder: Path) -> dict[str, str]:
    files = {}
    for name, content in (
        ("root", chain.root_pem),
        ("leaf", armoured(chain.leaf)),
        ("between", armoured(*chain.between)),
        ("chain", chain.chain_pem),
    ):
        files[name] = str(folder / f"{name}.pem")
        Path(files[name]).write_bytes(content)
    return files


def _ran(*words: str) -> Verdict:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    return None if done.returncode == 0 else (done.stderr + done.stdout).strip()
