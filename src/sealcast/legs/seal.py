"""The seal: the negotiated facts of a leg, in one shape for DTLS and for TLS. Never a key."""

from dataclasses import asdict, dataclass

from sealcast.wire import MediaSeal, TlsFacts


@dataclass(frozen=True, slots=True)
class Seal:
    """What was agreed. `expires_unix` is the end of the peer's certificate, where it had one."""

    protocol: str
    version: str
    cipher: str
    group: str | None
    keying: str
    srtp_profile: str | None = None
    local_fingerprint: str | None = None
    peer_fingerprint: str | None = None
    own_signature: str | None = None
    peer_signature: str | None = None
    forward_secrecy: bool = False
    post_quantum: bool = False
    early_data: bool = False
    resumed: bool = False
    hello_retry: bool = False
    ech: bool = False
    sni: str | None = None
    alpn: str | None = None
    expires_unix: int | None = None

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
            resumed=seal.resumed,
            hello_retry=seal.hello_retry,
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
            peer_fingerprint=f"sha-256 {facts.peer.sha256}" if facts.peer else None,
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
