"""Verifiers of certificate chains by five makers, each asked the same question.

Does: says whether a chain (leaf, issuing authority) is good for one side of a handshake below a
root, at the machine's time: BoringSSL in a handshake of our own, OpenSSL, GnuTLS and NSS by their
tools, `cryptography` (pyca) in this process.

Does not: compare host names or SPIFFE IDs with expected ones; that is the caller's in every one of
them.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from tests.unit.dtls_link import BEGAN, V1_3, Link, other

from sealcast.dtls import Authority, DtlsEndpoint, DtlsIdentity, HandshakeCompleted, PeerRefused
from sealcast.identity.certificates import pem
from sealcast.identity.keys import PrivateKey
from sealcast.identity.keys_at_rest import plain_pem
from sealcast.identity.profiles import Side
from sealcast.secret import Secret


@dataclass(frozen=True, slots=True)
class Chain:
    """What an end presents, its key, and what it is judged by."""

    leaf: x509.Certificate
    between: tuple[x509.Certificate, ...]
    root: x509.Certificate
    key: PrivateKey

    @property
    def chain_pem(self) -> bytes:
        return b"".join(map(pem, (self.leaf, *self.between)))


Verdict = str | None
"""Why not; None is a yes."""


def boringssl(chain: Chain, side: Side, _folder: Path) -> Verdict:
    judge = other(side.value)
    own = DtlsIdentity.generate()
    peer = DtlsIdentity.from_pem(chain.chain_pem, Secret(plain_pem(chain.key)))
    by = Authority(pem(chain.root))
    ends = {
        judge: DtlsEndpoint(judge, own, authority=by, policy=V1_3, now=BEGAN),
        side.value: DtlsEndpoint(
            side.value, peer, expected=[own.fingerprint()], policy=V1_3, now=BEGAN
        ),
    }
    link = Link(ends["client"], ends["server"])
    link.run(lambda now: now.is_decided(judge))
    told = link.told[judge]
    refused = [event.code for event in told if isinstance(event, PeerRefused)]
    assert refused or any(isinstance(event, HandshakeCompleted) for event in told), told
    return refused[0] if refused else None


def openssl(chain: Chain, side: Side, folder: Path) -> Verdict:
    files = _files(chain, folder)
    return _ran(
        *("openssl", "verify", "-x509_strict", "-purpose", f"ssl{side}", "-CAfile", files["root"]),
        *("-untrusted", files["between"], files["leaf"]),
    )


def gnutls(chain: Chain, side: Side, folder: Path) -> Verdict:
    files = _files(chain, folder)
    return _ran(
        *("certtool", "--verify", "--load-ca-certificate", files["root"]),
        *("--verify-purpose", side.usage.dotted_string, "--infile", files["chain"]),
    )


def nss(chain: Chain, side: Side, folder: Path) -> Verdict:
    files = _files(chain, folder)
    database = folder / f"nss-{secrets.token_hex(4)}"
    database.mkdir()
    for words in (
        ("-N", "--empty-password"),
        # C: issues servers' certificates, T: issues clients'.
        ("-A", "-t", "CT,,", "-n", "root", "-i", files["root"]),
        *(
            ("-A", "-t", ",,", "-n", f"between {number}", "-i", str(file))
            for number, file in enumerate(_each(chain.between, folder))
        ),
        ("-A", "-t", ",,", "-n", "leaf", "-i", files["leaf"]),
    ):
        subprocess.run(
            ["certutil", "-d", f"sql:{database}", *words],
            check=True,
            capture_output=True,
            timeout=30,
        )
    usage = "C" if side is Side.CLIENT else "V"
    return _ran("certutil", "-V", "-d", f"sql:{database}", "-n", "leaf", "-u", usage)


def pyca(chain: Chain, side: Side, _folder: Path) -> Verdict:
    builder = PolicyBuilder().store(Store([chain.root]))
    try:
        if side is Side.CLIENT:
            builder.build_client_verifier().verify(chain.leaf, list(chain.between))
        else:
            # Its verifier of servers wants a name; the one that the certificate has.
            names = chain.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            kinds = x509.DNSName | x509.IPAddress
            host = next((name for name in names.value if isinstance(name, kinds)), _NO_HOST)
            builder.build_server_verifier(host).verify(chain.leaf, list(chain.between))
    except VerificationError as error:
        return str(error)
    return None


VERIFIERS: dict[str, tuple[Callable[[Chain, Side, Path], Verdict], str | None]] = {
    "BoringSSL": (boringssl, "core"),
    "OpenSSL": (openssl, "openssl"),
    "GnuTLS": (gnutls, "certtool"),
    "NSS": (nss, "certutil"),
    "pyca": (pyca, None),
}
"""Each with what it needs of the machine."""


_NO_HOST = x509.DNSName("no.name.example")


def _files(chain: Chain, folder: Path) -> dict[str, str]:
    files = {}
    for name, content in (
        ("root", pem(chain.root)),
        ("leaf", pem(chain.leaf)),
        ("between", b"".join(map(pem, chain.between))),
        ("chain", chain.chain_pem),
    ):
        files[name] = str(folder / f"{name}.pem")
        Path(files[name]).write_bytes(content)
    return files


def _each(certificates: tuple[x509.Certificate, ...], folder: Path) -> list[Path]:
    paths = []
    for number, certificate in enumerate(certificates):
        paths.append(folder / f"between-{number}.pem")
        paths[-1].write_bytes(pem(certificate))
    return paths


def _ran(*words: str) -> Verdict:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    return None if done.returncode == 0 else (done.stderr + done.stdout).strip()
