"""TLS at the doors and on connections that are opened here, and whom it proved."""

from typing import Final

from sealcast.codes.row import failures

_HANDSHAKE: Final = failures(
    "handshake",
    (
        "TLS.VERSION_REFUSED",
        "The client has no version of TLS that this door admits.",
        "Update the client to TLS 1.3, or to TLS 1.2 where the policy admits it.",
    ),
    (
        "TLS.NO_COMMON_GROUP",
        "The client has no key-exchange group that this door admits.",
        "Use a client with X25519, or the policy `standard`, which adds P-256 and P-384.",
    ),
    (
        "TLS.NO_COMMON_CIPHER",
        "The client has no cipher that this door admits.",
        "Use a client with ECDHE and AES-GCM or ChaCha20.",
    ),
    (
        "TLS.PLAIN_HTTP",
        "Plain HTTP came to a port that speaks HTTPS only.",
        "Use https:// in the address.",
    ),
    (
        "TLS.NOT_TLS",
        "What came to a TLS port is not TLS.",
        "The detail names what it looks like; add TLS to the client (for RTMP: rtmps).",
    ),
    (
        "TLS.PEER_ALERT",
        "The client ended the TLS handshake with an alert.",
        "The detail names it; `unknown ca` means that the client does not trust this node's CA.",
    ),
    (
        "TLS.PEER_CLOSED",
        "The client closed the connection.",
        "Nothing is wrong if it was done. In a handshake: a port scan, or a client that does not "
        "trust this node's certificate; give it the authority.",
    ),
    (
        "TLS.TIMEOUT",
        "The TLS handshake did not complete in time.",
        "The client is very slow or silent; try again.",
    ),
    (
        "TLS.FAILED",
        "The TLS handshake failed.",
        "The detail has the engine's words; report it if it stays.",
    ),
    (
        "TLS.KEY_MISMATCH",
        "The private key does not belong to the certificate.",
        "Give the two files of one pair; what was there before stays in use.",
    ),
    (
        "TLS.SERVER_VERSION_REFUSED",
        "The server has no version of TLS that is admitted here.",
        "Update the server to TLS 1.3, or to TLS 1.2 with ECDHE and an AEAD.",
    ),
    (
        "TLS.SERVER_PLAIN_HTTP",
        "The server answered in plain HTTP.",
        "Call its TLS port; the detail of its own answer is not trusted here.",
    ),
    (
        "TLS.SERVER_NOT_TLS",
        "What answered is no TLS server.",
        "The detail names what it looks like; check the port.",
    ),
    (
        "TLS.SERVER_ALERT",
        "The server ended the connection with an alert.",
        "The detail names the alert; look at the server's own log for its reason.",
    ),
    (
        "TLS.SERVER_CLOSED",
        "The server closed the connection during the handshake.",
        "Check the port, and the server's own log; it may be full or stopping.",
    ),
    (
        "TLS.SERVER_TRUNCATED",
        "The connection broke off without the server's word that it is the end.",
        "Connect again; do not take what came for the whole.",
    ),
    (
        "TLS.SERVER_TIMEOUT",
        "The server did not complete the connection in time.",
        "Check the address, and what is between; then try again.",
    ),
    (
        "TLS.SERVER_UNREACHABLE",
        "No connection to the server could be made.",
        "Check name, address and port; the detail has the system's words.",
    ),
    (
        "TLS.SERVER_FAILED",
        "The connection to the server failed.",
        "The detail has the engine's words; try again, and report it if it stays.",
    ),
    (
        "TLS.NOT_OPEN",
        "Something was to be sent on a TLS connection that is not open.",
        "Send after the handshake and before the end; connect again if it is over.",
    ),
    (
        "TLS.IN_USE",
        "Two threads used one TLS connection at once.",
        "Use it from one thread, or guard it with a lock.",
    ),
    (
        "TLS.FORKED",
        "The TLS connection was made before this process was forked.",
        "Leave it to the parent and make a new one in the child.",
    ),
    (
        "TLS.SIGNER_FAILED",
        "The key could not sign the handshake.",
        "The detail says why; a key in a token must be reachable while connections are made.",
    ),
    (
        "TLS.NO_COMMON_PROTOCOL",
        "The client asked (ALPN) for protocols that this door does not speak.",
        "Use a client with HTTP/1.1 or HTTP/2.",
    ),
    (
        "TLS.BAD_POLICY",
        "A policy's versions, groups or profiles cannot be carried out together.",
        "Change what the detail names, or use one of the presets; report it if it was one.",
    ),
    (
        "TLS.UNREADABLE_CERTIFICATE",
        "What should be a certificate is not.",
        "Give PEM files as `sealcast` made them.",
    ),
    (
        "TLS.UNREADABLE_KEY",
        "What should be a private key is not, or it is encrypted.",
        "Give the key as unencrypted PEM with mode 0600.",
    ),
)

_IDENTITY: Final = failures(
    "identity",
    (
        "TLS.NO_CLIENT_CERTIFICATE",
        "This door asks for a client certificate, and none came.",
        "Give the client its certificate and key (ffmpeg: -cert_file and -key_file).",
    ),
    (
        "TLS.UNKNOWN_CA",
        "The client's certificate was issued by an authority that this door does not trust.",
        "Issue the certificate with this node's authority, or add the authority to the door.",
    ),
    (
        "TLS.CERTIFICATE_EXPIRED",
        "The certificate has expired.",
        "Issue a new one; compare both clocks if it should still be valid.",
    ),
    (
        "TLS.CERTIFICATE_NOT_YET_VALID",
        "The certificate is not valid yet, so one of the two clocks is wrong.",
        "Compare the clock of the machine that issued it with this node's.",
    ),
    (
        "TLS.CERTIFICATE_REVOKED",
        "The client's certificate, or its issuer's, has been revoked.",
        "If its holder may come back: issue a new one, with a new key.",
    ),
    (
        "TLS.WRONG_USAGE",
        "The certificate is for another purpose: a server's certificate was used as a client's.",
        "Issue a client certificate for this end.",
    ),
    (
        "TLS.CHAIN_TOO_LARGE",
        "The client's certificate chain is larger than a door reads.",
        "Send the certificate and the authorities between it and the root, each once.",
    ),
    (
        "TLS.CERTIFICATE_REFUSED",
        "The client's certificate breaks a rule of RFC 5280.",
        "The detail names the rule; issue the certificate anew.",
    ),
    (
        "TLS.SERVER_UNKNOWN_CA",
        "The server's certificate was not issued by an authority that is trusted here.",
        "Give the authority that issued it (authority.pem), after comparing its fingerprint.",
    ),
    (
        "TLS.SERVER_EXPIRED",
        "A certificate of the server has expired.",
        "Renew it there; if its dates are right, look at this machine's clock.",
    ),
    (
        "TLS.SERVER_NOT_YET_VALID",
        "A certificate of the server is not valid yet.",
        "Wait until it is; if its dates are right, look at this machine's clock.",
    ),
    (
        "TLS.SERVER_WRONG_USAGE",
        "The server shows a certificate that is not for servers.",
        "Issue it one for its side: sealcast identity issue … --as server.",
    ),
    (
        "TLS.SERVER_NAME_MISMATCH",
        "The server's certificate carries another name than the one that was called.",
        "Call it by a name that its certificate has, or issue it one with this name.",
    ),
    (
        "TLS.SERVER_CERTIFICATE_REFUSED",
        "The server's certificate chain breaks a rule.",
        "The detail names the rule (RFC 5280 §6); issue the certificate anew.",
    ),
    (
        "TLS.REFUSED_AS_REVOKED",
        "The server says that this end's certificate was revoked.",
        "Ask its authority why; enrol again with a new token if it was not for cause.",
    ),
    (
        "TLS.REFUSED_AS_EXPIRED",
        "The server says that this end's certificate has expired.",
        "Renew it; if its dates are right, compare both clocks.",
    ),
    (
        "TLS.REFUSED_AS_UNKNOWN",
        "The server does not know the authority of this end's certificate.",
        "Use a certificate of an authority that the server trusts, or have it added there.",
    ),
    (
        "TLS.REFUSED_CERTIFICATE",
        "The server does not take this end's certificate.",
        "The detail names its alert; it may be for another side, or barred from this door.",
    ),
    (
        "TLS.CERTIFICATE_REQUIRED",
        "The server demands a certificate, and this end showed none.",
        "Give certificate and key of this end.",
    ),
)

_MEDIA: Final = failures(
    "media",
    (
        "TLS.IDLE",
        "The peer sent nothing for as long as the door waits.",
        "The encoder or its network stopped; it can publish again.",
    ),
)

ROWS: Final = (*_HANDSHAKE, *_IDENTITY, *_MEDIA)
