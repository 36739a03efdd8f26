"""The handshake of a media leg, and whom it proved."""

from typing import Final

from sealcast.codes.row import failures

_HANDSHAKE: Final = failures(
    "handshake",
    (
        "DTLS.VERSION_REFUSED",
        "The peer has no version of DTLS that the policy admits.",
        "Update the peer, or choose a policy that admits DTLS 1.2. Older ones are never admitted.",
    ),
    (
        "DTLS.NO_COMMON_GROUP",
        "The two ends have no key-exchange group in common.",
        "Use a peer with X25519, or the policy `standard`, which adds P-256 and P-384.",
    ),
    (
        "DTLS.NO_COMMON_CIPHER",
        "The two ends have no cipher in common.",
        "Use a peer with AES-GCM or ChaCha20 and ECDHE.",
    ),
    (
        "DTLS.TIMEOUT",
        "The DTLS handshake did not complete in time.",
        "Packets are lost on the way, or the peer stopped; try again.",
    ),
    (
        "DTLS.PEER_ALERT",
        "The peer ended the DTLS handshake with an alert.",
        "The detail names the alert; look at the peer's own log for its reason.",
    ),
    (
        "DTLS.FAILED",
        "The DTLS handshake failed.",
        "The detail has the engine's words; try again, and report it if it stays.",
    ),
    (
        "DTLS.CLOSED",
        "The peer closed the media leg.",
        "Nothing is wrong: it left.",
    ),
    (
        "DTLS.IN_USE",
        "Two threads used one DTLS endpoint at the same time.",
        "Use an endpoint from one thread at a time; the refused call changed nothing.",
    ),
    (
        "DTLS.UNVALIDATED_SOURCE",
        "DTLS from an address that ICE has not proved was dropped.",
        "Harmless; it is how attackers try to win the handshake race.",
    ),
    (
        "DTLS.BAD_FINGERPRINT",
        "A fingerprint is malformed or of a hash that is not admitted.",
        "Name a fingerprint of sha-256 or stronger.",
    ),
    (
        "DTLS.BAD_ARGUMENT",
        "A DTLS endpoint was given a value that it cannot take.",
        "Give a value that the detail names.",
    ),
    (
        "DTLS.NOT_ESTABLISHED",
        "Keys were asked for before the handshake was over.",
        "Wait until the endpoint tells of its keys (`KeysAgreed`).",
    ),
)

_IDENTITY: Final = failures(
    "identity",
    (
        "DTLS.NO_PEER_CERTIFICATE",
        "The peer presented no certificate in the DTLS handshake.",
        "WebRTC peers always have one; report the peer's version.",
    ),
    (
        "DTLS.UNKNOWN_CA",
        "The peer's certificate was not issued by the authority that was expected.",
        "Give the peer a certificate of that authority, or expect the one that issued its own.",
    ),
    (
        "DTLS.CERTIFICATE_EXPIRED",
        "A certificate of the peer's chain has expired.",
        "Renew it; if its dates are right, look at this machine's clock.",
    ),
    (
        "DTLS.CERTIFICATE_NOT_YET_VALID",
        "A certificate of the peer's chain is not valid yet.",
        "Wait until it is; if its dates are right, look at this machine's clock.",
    ),
    (
        "DTLS.WRONG_USAGE",
        "The peer's certificate may not be used in its role.",
        "A DTLS client needs the usage clientAuth, a server serverAuth, or neither is named.",
    ),
    (
        "DTLS.NAME_MISMATCH",
        "The peer's certificate is of the expected authority but carries another name.",
        "Somebody else answered, or the expected name is wrong; the detail has both.",
    ),
    (
        "DTLS.CERTIFICATE_REFUSED",
        "The peer's certificate chain breaks a rule.",
        "The detail names the rule (RFC 5280 §6); issue the certificate anew.",
    ),
    (
        "DTLS.FINGERPRINT_MISMATCH",
        "The media leg's certificate is not the one that the signalling named.",
        "Someone stands between, or two sessions were mixed up. Do not go on before it is known.",
    ),
)

_KEYS: Final = failures(
    "keys",
    (
        "DTLS.NO_SRTP_PROFILE",
        "The handshake completed without an SRTP profile that both ends admit.",
        "Use a peer with AES-GCM, or the policy `standard`, which admits AES128_CM_SHA1_80.",
    ),
    (
        "DTLS.FORKED",
        "A DTLS endpoint or its keys were used in a process forked after they were made.",
        "Make endpoints in the process that uses them, and take their keys there.",
    ),
    (
        "DTLS.KEYS_TAKEN",
        "The keys of a handshake were asked for a second time.",
        "They serve one sender and one receiver; make a new handshake for more.",
    ),
)

ROWS: Final = (*_HANDSHAKE, *_IDENTITY, *_KEYS)
