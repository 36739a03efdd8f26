"""The seal: the negotiated facts of a leg, in one shape for DTLS and for TLS. Never a key.

Every field is a fact that the native side measured, or None: it does not apply to this leg, or it
was not told. No field has a default.
"""

from dataclasses import asdict, dataclass

from sealcast.wire import MediaSeal, TlsFacts


@dataclass(frozen=True, slots=True)
class Seal:
    """What was agreed, and who showed what.

    Fingerprints are `sha-256 AB:CD:…`, of our certificate and the peer's (of a media leg: the one
    in its offer that it met, whatever its hash). After a resumption nobody shows a certificate:
    `local_fingerprint` is None then, while the peer's is remembered. Signatures are the schemes
    that each end signed the handshake with. `expires_unix` is the notAfter of the peer's
    certificate; a media certificate is proved by its fingerprint, whatever its dates are.
    `srtp_profile` is None on TLS legs; `sni` and `alpn` are None where the peers spoke of none.
    """

    protocol: str
    version: str
    cipher: str
    group: str | None
    keying: str
    srtp_profile: str | None
    local_fingerprint: str | None
    peer_fingerprint: str | None
    own_signature: str | None
    peer_signature: str | None
    forward_secrecy: bool | None
    post_quantum: bool | None
    early_data: bool | None
    resumed: bool | None
    hello_retry: bool | None
    ech: bool | None
    sni: str | None
    alpn: str | None
    expires_unix: int | None

    @staticmethod
    def of_media(seal: MediaSeal) -> "Seal":
        """From what the relay reported of a DTLS-SRTP leg."""
        return Seal(
            protocol=seal.protocol,
            version=seal.version,
            cipher=seal.cipher,
            group=seal.group,
            keying="dtls-srtp",
            srtp_profile=seal.srtp_profile,
            local_fingerprint=seal.local_fingerprint,
            peer_fingerprint=seal.peer_fingerprint,
            own_signature=seal.own_signature,
            peer_signature=seal.peer_signature,
            forward_secrecy=seal.forward_secrecy,
            post_quantum=seal.post_quantum,
            early_data=seal.early_data,
            resumed=seal.resumed,
            hello_retry=seal.hello_retry,
            ech=seal.ech,
            sni=seal.sni,
            alpn=seal.alpn,
            expires_unix=seal.expires_unix,
        )

    @staticmethod
    def of_connection(facts: TlsFacts) -> "Seal":
        """From what the front reported of a TLS connection."""
        return Seal(
            protocol=facts.protocol,
            version=facts.version,
            cipher=facts.cipher,
            group=facts.group,
            keying="tls",
            srtp_profile=None,
            local_fingerprint=_sha256(facts.own_sha256),
            peer_fingerprint=_sha256(facts.peer.sha256) if facts.peer else None,
            own_signature=facts.own_signature,
            peer_signature=facts.peer_signature,
            forward_secrecy=facts.forward_secrecy,
            post_quantum=facts.post_quantum,
            early_data=facts.early_data,
            resumed=facts.resumed,
            hello_retry=facts.hello_retry,
            ech=facts.ech,
            sni=facts.sni,
            alpn=facts.alpn,
            expires_unix=facts.peer.not_after_unix if facts.peer else None,
        )

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def _sha256(digest: str | None) -> str | None:
    return f"sha-256 {digest}" if digest else None
