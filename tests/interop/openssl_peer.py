"""OpenSSL's own command as a peer, and what it says of the handshake and of certificates.

Does: starts ``openssl s_client`` and ``s_server`` with ``-trace``, which prints every message of
the handshake, and reads from it what was agreed; asks ``openssl x509`` for fingerprint and dates.

Does not: carry anything beyond the handshake. A peer ends with its context.
"""

from __future__ import annotations

import datetime
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.interop.tls_registries import ALPN, EARLY_DATA, ECH, GROUPS

from sealcast.testing.waiting import wait_for

END_S: Final = 10.0

# The words of "Peer signature type" and "Peer signing digest". Ed25519 has no digest of its own.
SIGNATURES: Final = {
    "ecdsa_secp256r1_sha256": ("ECDSA", "SHA256"),
    "ecdsa_secp384r1_sha384": ("ECDSA", "SHA384"),
    "ed25519": ("ed25519", None),
    "rsa_pss_rsae_sha256": ("RSA-PSS", "SHA256"),
}
_VERSIONS: Final = {"TLS 1.3": "1.3", "TLS 1.2": "1.2", "DTLS 1.2": "1.2"}
# Those that carry a signature of the handshake: RFC 8446 §4.4.3, RFC 5246 §7.4.3 and §7.4.8.
_SIGNED: Final = ("CertificateVerify", "ServerKeyExchange")

_RECORD = re.compile(r"^(Sent|Received) Record$")
_MESSAGE = re.compile(r"^ {4}(\w+), Length=\d+$")
_DUMP = re.compile(r"^\s+[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -])+)", re.MULTILINE)
_SHOWN = re.compile(
    r"^(?:Server|Client) certificate\n(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What ``openssl x509`` prints of a certificate."""

    fingerprint: str
    expires_unix: int


def certificate_facts(pem: str) -> CertificateFacts:
    done = subprocess.run(
        [
            *("openssl", "x509", "-noout", "-fingerprint", "-sha256"),
            *("-enddate", "-dateopt", "iso_8601"),
        ],
        input=pem,
        capture_output=True,
        text=True,
        check=True,
        timeout=END_S,
    )
    fingerprint = _only(r"^sha256 Fingerprint=([0-9A-F:]+)$", done.stdout)
    expires = _only(r"^notAfter=(\S+ \S+)Z$", done.stdout)
    ends = datetime.datetime.fromisoformat(expires).replace(tzinfo=datetime.UTC)
    return CertificateFacts(f"sha-256 {fingerprint}", int(ends.timestamp()))


def standard_name(suite: str) -> str:
    """IANA's name of a suite of which OpenSSL's is known."""
    done = subprocess.run(
        ["openssl", "ciphers", "-stdname", "-tls1_2", suite],
        capture_output=True,
        text=True,
        check=True,
        timeout=END_S,
    )
    return _only(rf"^(\S+) +- {re.escape(suite)} ", done.stdout)


@dataclass(frozen=True, slots=True)
class _Message:
    """One handshake message of the trace."""

    sent: bool
    name: str
    body: str


@dataclass(frozen=True)
class Handshake:
    """What one end saw: `trace` has the messages, `said` the summary."""

    trace: str
    said: str

    @property
    def protocol(self) -> str:
        """DTLS counts its versions down from 0xfeff (RFC 6347 §4.1)."""
        major = _only(r"server_version=0x(3|fe)", self._server_hello)
        return {"3": "TLS", "fe": "DTLS"}[major]

    @cached_property
    def version(self) -> str:
        # RFC 8446 §4.1.3: 1.3 stands in an extension, older ones in the field for it.
        hello = self._server_hello
        named = re.search(r"extension_type=supported_versions\(43\), length=2\n\s+(.*) \(", hello)
        if named is None:
            return _VERSIONS[_only(r"server_version=0x\w+ \((.*)\)$", hello)]
        return _VERSIONS[named[1]]

    @property
    def cipher(self) -> str:
        """By its IANA name; the summary's is OpenSSL's own for 1.2."""
        return _only(r"cipher_suite \{.*\} (\w+)$", self._server_hello)

    @property
    def group(self) -> str:
        place, pattern = (
            (self._server_hello, r"NamedGroup: .* \((\d+)\)$")
            if self.version == "1.3"
            else (self._last("ServerKeyExchange"), r"named_curve: .* \((\d+)\)$")
        )
        return GROUPS[int(_only(pattern, place))]

    @property
    def own_signature(self) -> str:
        return self._signature(sent=True)

    @property
    def peer_signature(self) -> str:
        """The trace's scheme, of which the summary must name the parts."""
        scheme = self._signature(sent=False)
        digest = re.search(r"^Peer signing digest: (\S+)$", self.said, re.MULTILINE)
        summary = (
            _only(r"^Peer signature type: (\S+)$", self.said),
            digest[1] if digest else None,
        )
        assert SIGNATURES[scheme] == summary, (scheme, summary)
        return scheme

    @property
    def peer_certificate(self) -> CertificateFacts:
        found = _SHOWN.search(self.said)
        assert found is not None, "it prints the certificate that it was shown"
        return certificate_facts(found[1])

    @property
    def forward_secrecy(self) -> bool:
        """Both ends sent a fresh key and no old secret came in (RFC 8446 §1.2, RFC 8422 §2)."""
        return not self.resumed and self.group in GROUPS.values()

    @property
    def resumed(self) -> bool:
        """A client says New or Reused, a server speaks of it only if so."""
        assert re.search(r"^(?:New, |Reused, |CIPHER is )", self.said, re.MULTILINE), self.said
        return re.search(r"^Reused", self.said, re.MULTILINE) is not None

    @property
    def hello_retry(self) -> bool:
        """A HelloRetryRequest has the shape of a ServerHello (RFC 8446 §4.1.4)."""
        return self.version == "1.3" and len(self._all("ServerHello")) == 2

    @property
    def early_data(self) -> bool:
        return any(EARLY_DATA in _extensions(body) for body in self._all("EncryptedExtensions"))

    @property
    def ech(self) -> bool:
        """Whether Encrypted Client Hello was so much as offered."""
        return any(ECH in _extensions(body) for body in self._all("ClientHello"))

    @property
    def sni(self) -> str | None:
        """The name in the ClientHello (RFC 6066 §3): a list's length, 0, the name's length, it."""
        named = re.search(
            r"extension_type=server_name\(0\), length=\d+\n((?: {10}.*\n)+)",
            self._last("ClientHello"),
        )
        if named is None:
            return None
        octets = bytes.fromhex("".join(_DUMP.findall(named[1])).replace("-", " "))
        return octets[5:].decode()

    @property
    def alpn(self) -> str | None:
        answers = [*self._all("ServerHello"), *self._all("EncryptedExtensions")]
        if not any(ALPN in _extensions(body) for body in answers):
            return None
        return _only(r"^ALPN protocol: (\S+)$", self.said)

    @property
    def srtp_profile(self) -> str | None:
        """In the registry's words (RFC 7714 §14.2)."""
        pattern = r"^SRTP Extension negotiated, profile=SRTP_(\S+)$"
        agreed = re.search(pattern, self.said, re.MULTILINE)
        return agreed[1] if agreed else None

    @cached_property
    def _messages(self) -> list[_Message]:
        found: list[_Message] = []
        sent, name, lines = False, "", list[str]()
        for line in [*self.trace.splitlines(), "Sent Record"]:
            record, message = _RECORD.match(line), _MESSAGE.match(line)
            if record or message:
                if name:
                    found.append(_Message(sent, name, "\n".join([*lines, ""])))
                name, lines = message[1] if message else "", []
            if record:
                sent = record[1] == "Sent"
            lines.append(line)
        return found

    def _all(self, name: str) -> list[str]:
        return [message.body for message in self._messages if message.name == name]

    def _last(self, name: str) -> str:
        bodies = self._all(name)
        assert bodies, f"no {name} in the trace"
        return bodies[-1]

    @property
    def _server_hello(self) -> str:
        """The last one: a HelloRetryRequest comes before it."""
        return self._last("ServerHello")

    def _signature(self, *, sent: bool) -> str:
        schemes = {
            _only(r"^\s+Signature Algorithm: (\w+) \(0x", message.body)
            for message in self._messages
            if message.name in _SIGNED and message.sent is sent
        }
        (scheme,) = schemes
        return scheme


@dataclass
class Peer:
    """A running openssl."""

    process: subprocess.Popen[bytes]
    folder: Path
    ended: bool = field(default=False, init=False)

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def wait_until_said(self, pattern: str) -> re.Match[str]:
        return wait_for(
            lambda: re.search(pattern, self.said, re.MULTILINE),
            what=f"openssl says {pattern}",
            timeout_s=END_S,
            every_s=0.02,
            explain=lambda: self.said[-2000:],
        )

    def end(self) -> Handshake:
        """Ends it as its user would, with the end of its input, and gives what it saw."""
        assert self.process.stdin is not None, "it was started with a pipe"
        self.process.stdin.close()
        self.process.wait(timeout=END_S)
        self.ended = True
        trace = self.folder / "trace"
        return Handshake(trace.read_text(errors="replace"), self.said)


@contextmanager
def openssl(folder: Path, *arguments: str) -> Iterator[Peer]:
    """``openssl ARGUMENTS -trace``; what it says goes into `folder`."""
    folder.mkdir()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            ["openssl", *arguments, "-trace", "-msgfile", str(folder / "trace")],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    peer = Peer(process, folder)
    try:
        yield peer
    finally:
        if not peer.ended:
            process.kill()
            process.wait(timeout=END_S)
        if process.stdin is not None:
            process.stdin.close()


def identity(chain: Path, key: Path) -> Sequence[str]:
    """The options that show a certificate."""
    return ("-cert", str(chain), "-key", str(key))


def _extensions(body: str) -> set[int]:
    return {int(number) for number in re.findall(r"extension_type=\S+\((\d+)\)", body)}


def _only(pattern: str, text: str) -> str:
    """The one match of `pattern`; retransmitted messages say the same again."""
    found = set(re.findall(pattern, text, re.MULTILINE))
    assert len(found) == 1, f"{pattern} is there {len(found)} times in {text[-3000:]}"
    return str(found.pop())
