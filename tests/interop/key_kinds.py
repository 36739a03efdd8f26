"""Certificates with keys of every kind that a door admits: what an end signs its handshake with
follows from its key.

Does: issues from the node's authority, as its folder holds it, for keys that
`sealcast.identity` does not make.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealcast.identity.throw_away import KEY_FILE, ROOT_FILE
from sealcast.testing.node_process import TRUST_DOMAIN, Client, Node

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

KINDS: Final[dict[str, Callable[[], Key]]] = {
    "ecdsa_secp256r1_sha256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa_secp384r1_sha384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa_pss_rsae_sha256": lambda: rsa.generate_private_key(65537, 2048),
}
"""By the scheme that such a key is used with here (RFC 8446 §4.2.3)."""

_LIFETIME = datetime.timedelta(days=3)


def client(node: Node, name: str, scheme: str) -> Client:
    """The end called `name`, such as ``encoder/venue-1``."""
    uri = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/{name}")
    return _issue(node, uri, ExtendedKeyUsageOID.CLIENT_AUTH, scheme)


def server(node: Node, scheme: str) -> Client:
    """A door at the node's address."""
    address = x509.IPAddress(ipaddress.ip_address(node.address))
    return _issue(node, address, ExtendedKeyUsageOID.SERVER_AUTH, scheme)


def _issue(node: Node, name: x509.GeneralName, usage: x509.ObjectIdentifier, scheme: str) -> Client:
    root = x509.load_pem_x509_certificate((node.state / ROOT_FILE).read_bytes())
    signer = serialization.load_pem_private_key((node.state / KEY_FILE).read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey), "the throw-away authority's is P-256"
    key = KINDS[scheme]()
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, scheme)]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
        .sign(signer, hashes.SHA256())
    )
    stem = f"{'server' if usage is ExtendedKeyUsageOID.SERVER_AUTH else 'client'}-{scheme}"
    chain, private = _files(node.folder, stem)
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Client(str(name.value), chain, private)


def _files(folder: Path, stem: str) -> tuple[Path, Path]:
    return folder / f"{stem}.pem", folder / f"{stem}-key.pem"
