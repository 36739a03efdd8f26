"""What a policy refuses, and what it admits with a remark."""

from typing import Final

from sealcast.codes.row import answers, failures, notes

_SIGNALLING: Final = answers(
    "signalling",
    (
        403,
        "POLICY.IDENTITY_REFUSED",
        "The policy asks for a stronger proof of identity than this one.",
        "Use a proof that the detail names, or another preset for this role in [policy].",
    ),
    (
        403,
        "POLICY.OUTSIDE_PROFILE",
        "The certificate is good for something else: its profile bounds it, whatever rules allow.",
        "Use a certificate of the profile for it: encoder to publish, viewer to watch.",
    ),
    (
        403,
        "POLICY.TLS_TOO_OLD",
        "The signalling came over a version of TLS that the policy refuses.",
        "Use a client with TLS 1.3, or a policy that admits TLS 1.2.",
    ),
    (
        403,
        "POLICY.DTLS_TOO_OLD",
        "The media leg's version of DTLS is one that the policy refuses.",
        "Use a peer with DTLS 1.3, or a policy that admits DTLS 1.2.",
    ),
    (
        403,
        "POLICY.SRTP_PROFILE_REFUSED",
        "The peer has no SRTP profile that the policy admits.",
        "Use a peer with AES-GCM, or the policy `standard`, which admits AES128_CM_SHA1_80.",
    ),
    (
        403,
        "POLICY.GROUP_REFUSED",
        "The key exchange used a group that the policy refuses.",
        "Use a peer with X25519MLKEM768 or X25519.",
    ),
    (
        403,
        "POLICY.PLAINTEXT_SIGNALLING",
        "Signalling without TLS was refused: whoever can change it can change the fingerprints.",
        "Use https://.",
    ),
    (
        403,
        "POLICY.FINGERPRINT_REFUSED",
        "The policy refuses the hash of every fingerprint that the peer named.",
        "Offer a fingerprint of sha-256 or stronger.",
    ),
)

_KEYS: Final = failures(
    "keys",
    (
        "POLICY.OUTSIDE_GRANT",
        "A leg was sealed with something that policy had not granted, and was closed.",
        "A fault of this node; report it.",
    ),
)

_KEYS_NOTES: Final = notes(
    "keys",
    (
        "DOWNGRADE.SRTP_CM80",
        "Media is protected by AES in counter mode with an 80-bit HMAC-SHA1 tag, not by AES-GCM.",
        "Update the peer to one with AES-GCM (RFC 7714).",
    ),
)

_HANDSHAKE: Final = notes(
    "handshake",
    (
        "DOWNGRADE.DTLS12",
        "The handshake was DTLS 1.2, so certificates crossed the network in clear.",
        "Update the peer to one with DTLS 1.3.",
    ),
    (
        "DOWNGRADE.TLS12",
        "The connection is TLS 1.2, so certificates crossed the network in clear.",
        "Update the client to one with TLS 1.3.",
    ),
)

_IDENTITY: Final = notes(
    "identity",
    (
        "NOTE.WEAK_FINGERPRINT_IGNORED",
        "The offer also named fingerprints of weaker hashes; they were ignored.",
        "Nothing needs to be done.",
    ),
    (
        "NOTE.UNPROVED_PEER",
        "The stream is public, so nobody knows who this peer is.",
        "Ask for tokens if viewers should be known.",
    ),
)

ROWS: Final = (*_SIGNALLING, *_KEYS, *_KEYS_NOTES, *_HANDSHAKE, *_IDENTITY)
