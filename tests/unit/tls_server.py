"""A TLS server in memory for tests: Python's own `ssl`, which shares no code with our client."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealcast.identity.keys import PublicKey, SigningKey, digest_for, generate
from sealcast.identity.private_files import write_private
from sealcast.secret import Secret
from sealcast.tls import TlsClient, TlsIdentity

HOST = "media.venue.example"
NODE_URI = "spiffe://venue.example/node/one"


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: SigningKey

    @property
    def chain_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def identity(self) -> TlsIdentity:
        return TlsIdentity(self.chain_pem, Secret(self.key_pem))


class Authority:
    """One root that issues directly."""

    def __init__(self, name: str = "Venue CA") -> None:
        self.name = name
        key = generate("p256")
        self.root = Held(_certificate(name, name, key.public_key(), key, (), None), key)

    @property
    def roots(self) -> bytes:
        return self.root.chain_pem

    def server(self, *, days: tuple[int, int] = (-1, 30)) -> Held:
        names = (
            x509.DNSName(HOST),
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.UniformResourceIdentifier(NODE_URI),
        )
        key = generate("p256")
        return self._issue(
            "node", key.public_key(), key, names, ExtendedKeyUsageOID.SERVER_AUTH, days
        )

    def client(self, key: SigningKey | None = None) -> Held:
        key = key or generate("p256")
        return self._issue(
            "encoder 1", key.public_key(), key, (), ExtendedKeyUsageOID.CLIENT_AUTH, (-1, 30)
        )

    def signed(self, request: x509.CertificateSigningRequest, uri: str) -> bytes:
        """A client's certificate (PEM) called `uri`, for the key of a request."""
        public = request.public_key()
        assert isinstance(public, PublicKey)
        usage, names = ExtendedKeyUsageOID.CLIENT_AUTH, (x509.UniformResourceIdentifier(uri),)
        made = _certificate("a client", self.name, public, self.root.key, names, usage)
        return made.public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        name: str,
        public: PublicKey,
        key: SigningKey,
        names: tuple[x509.GeneralName, ...],
        usage: x509.ObjectIdentifier,
        days: tuple[int, int],
    ) -> Held:
        certificate = _certificate(name, self.name, public, self.root.key, names, usage, days)
        return Held(certificate, key)


def _certificate(
    subject: str,
    issuer: str,
    public: PublicKey,
    signer: SigningKey,
    names: tuple[x509.GeneralName, ...],
    usage: x509.ObjectIdentifier | None,
    days: tuple[int, int] = (-1, 30),
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, digest_for(signer))


def server_context(
    folder: Path,
    shown: Held,
    client_roots: bytes | None = None,
    version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """A context that shows `shown`, and demands a certificate below `client_roots` if given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = folder / f"{shown.certificate.serial_number:x}.pem"
    write_private(pair, shown.chain_pem + shown.key_pem)
    context.load_cert_chain(pair)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if client_roots is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_roots.decode())
    return context


class MemoryServer:
    """The server's end of one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.error: ssl.SSLError | None = None
        self.is_open = False

    def receive(self, data: bytes) -> bytes:
        self._in.write(data)
        if self.error is None and not self.is_open:
            try:
                self.tls.do_handshake()
                self.is_open = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.error = error
        return self._out.read()

    def read(self) -> bytes:
        try:
            return self.tls.read()
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            return b""

    def write(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self._out.read()


def carry(client: TlsClient, server: MemoryServer, piece: int = 65_536) -> None:
    """Takes bytes to and fro, `piece` at a time, until nobody has any; signs when asked."""
    while True:
        wanted = client.signature_wanted
        if wanted is not None:
            try:
                client.sign(wanted.signer(wanted.scheme, wanted.message))
            except Exception as error:
                client.decline_to_sign(error)
        sent = client.take()
        answer = b"".join(
            server.receive(sent[at : at + piece]) for at in range(0, len(sent), piece)
        )
        for at in range(0, len(answer), piece):
            client.receive(answer[at : at + piece])
        if not sent and not answer:
            return
