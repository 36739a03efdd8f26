"""The DTLS end of a hand-made peer: OpenSSL, driven datagram by datagram.

Does: a client (`setup:active`) with a certificate of its own and a chosen list of SRTP profiles,
DTLS 1.2. And a ClientHello of DTLS 1.0, which today's OpenSSL does not send any more.

Does not: check the server's certificate, or wait.
"""

from __future__ import annotations

import datetime
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

GCM = b"SRTP_AEAD_AES_128_GCM"
CM32 = b"SRTP_AES128_CM_SHA1_32"
"""A profile that no preset but `compatible` admits, and that only for audio."""

ALERT = 21
PROTOCOL_VERSION = 70
"""RFC 8446 §6.2."""

_RECORD = struct.Struct("!B2sH6sH")
_DTLS_1_2 = 0xFEFD
# RFC 5764 §4.2: the key and the salt of each profile, in bytes.
_LENGTHS = {GCM: (16, 12), CM32: (16, 14)}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate with its key, as WebRTC peers have them."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @staticmethod
    def make() -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        return Certificate(certificate, key)

    @property
    def fingerprint(self) -> str:
        """SHA-256 as `a=fingerprint` writes it (RFC 8122 §5)."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


class DtlsClient:
    """One handshake."""

    def __init__(self, identity: Certificate | None, profiles: bytes) -> None:
        """`profiles` as OpenSSL lists them, joined by colons; none leaves use_srtp out."""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_max_proto_version(_DTLS_1_2)
        if identity is not None:
            context.use_certificate(identity.certificate)
            context.use_privatekey(identity.key)
        # The server's certificate is proved by its fingerprint in WebRTC; nothing here hangs on it.
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if profiles:
            context.set_tlsext_use_srtp(profiles)
        self._connection = SSL.Connection(context, None)
        self._connection.set_connect_state()
        self._connection.set_ciphertext_mtu(1200)
        self.is_done = False
        self.error: str | None = None
        """OpenSSL's reason, once the handshake has failed."""

    def start(self) -> list[bytes]:
        """The first flight: the ClientHello."""
        return self._step()

    def receive(self, datagram: bytes) -> list[bytes]:
        """What is to be sent after a datagram of the server."""
        self._connection.bio_write(datagram)
        return self._step()

    def again(self) -> list[bytes]:
        """The present flight once more, if its timer ran out."""
        self._connection.DTLSv1_handle_timeout()
        return list(self._records())

    def close(self) -> list[bytes]:
        """close_notify."""
        self._connection.shutdown()
        return list(self._records())

    def profile(self) -> bytes:
        return bytes(self._connection.get_selected_srtp_profile())

    def keys(self) -> tuple[bytes, bytes]:
        """Ours and the server's: master key and master salt, as libsrtp takes them."""
        key, salt = _LENGTHS[self.profile()]
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        salts = material[2 * key :]
        return material[:key] + salts[:salt], material[key : 2 * key] + salts[salt:]

    def _step(self) -> list[bytes]:
        if not self.is_done and self.error is None:
            try:
                self._connection.do_handshake()
                self.is_done = True
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.error = str(error)
        return list(self._records())

    def _records(self) -> Iterator[bytes]:
        """One record for each datagram: the memory BIO has lost where datagrams began."""
        try:
            left = self._connection.bio_read(65536)
        except SSL.WantReadError:
            return
        while left:
            size = _RECORD.size + _RECORD.unpack_from(left)[4]
            yield left[:size]
            left = left[size:]


def client_hello_1_0() -> bytes:
    """A ClientHello of DTLS 1.0 (RFC 4347), as a WebRTC stack of 2014 sent it."""
    version = b"\xfe\xff"
    suites = bytes.fromhex("c009 c00a c013 c014 002f 0035")
    use_srtp = struct.pack("!HHHHB", 14, 5, 2, 1, 0)
    groups = struct.pack("!HHHHH", 10, 6, 4, 23, 24)
    extensions = use_srtp + groups + struct.pack("!HHBB", 11, 2, 1, 0)
    hello = (
        version
        + secrets.token_bytes(32)
        + b"\0\0"  # no session, no cookie
        + struct.pack("!H", len(suites))
        + suites
        + b"\x01\0"  # no compression
        + struct.pack("!H", len(extensions))
        + extensions
    )
    length = len(hello).to_bytes(3, "big")
    handshake = b"\x01" + length + b"\0\0" + b"\0\0\0" + length + hello
    return _RECORD.pack(22, version, 0, b"\0" * 6, len(handshake)) + handshake


def alerts(datagrams: list[bytes]) -> list[int]:
    """The descriptions of the alerts in clear among some datagrams."""
    found = []
    for datagram in datagrams:
        left = datagram
        while len(left) >= _RECORD.size:
            kind, _, epoch, _, size = _RECORD.unpack_from(left)
            record = left[_RECORD.size : _RECORD.size + size]
            if kind == ALERT and epoch == 0 and size == 2:
                found.append(record[1])
            left = left[_RECORD.size + size :]
    return found
