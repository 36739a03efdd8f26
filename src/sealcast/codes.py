"""The one table of everything that can go wrong, or be worth a remark.

Does: gives every code its stage, one sentence (what happened), one remedy (what to do next) and,
where an HTTP answer can carry it, a status. A code is the same string in an exception, a metric,
the ledger, a problem document and the docs, in Python and in Rust; `tests/unit/test_codes.py`
compares the two.

Does not: say why *this time*. That is the `detail` of the error that carries the code: the field,
the line, the value.

Specs: RFC 9457 (problem details), RFC 9110 §15 (status codes).

The caller must still: put no secret into a detail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

PROBLEM_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Code:
    """One row: `stage` is a stage of a leg (or `node`), `http_status` what a request that meets it
    is answered.
    """

    code: str
    stage: str
    sentence: str
    remedy: str
    http_status: int


# stage, then status, then code, sentence, remedy. Statuses of rows that never answer a request are
# 500.
_SIGNALLING: Final = (
    (
        400,
        "SDP.MALFORMED",
        "The session description cannot be read.",
        "Send the offer exactly as the WebRTC stack made it: UTF-8 text, one field per line.",
    ),
    (
        413,
        "SDP.TOO_LARGE",
        "The session description is larger than this node reads.",
        "Offer only the media that is to be sent or watched: one video and one audio section.",
    ),
    (
        400,
        "SDP.PLAINTEXT_MEDIA",
        "The offer asks for media without encryption, and no policy here admits that.",
        "Offer DTLS-SRTP: the profile UDP/TLS/RTP/SAVPF with an a=fingerprint line.",
    ),
    (
        400,
        "SDP.NO_FINGERPRINT",
        "The offer names no certificate fingerprint, so nobody could prove who sends the media.",
        "Offer DTLS-SRTP with an a=fingerprint line (RFC 8122) of SHA-256 or stronger.",
    ),
    (
        400,
        "SDP.WEAK_FINGERPRINT",
        "Every fingerprint in the offer uses a hash that can be forged or is not known here.",
        "Offer a fingerprint of sha-256, sha-384 or sha-512.",
    ),
    (
        400,
        "SDP.DATA_CHANNEL",
        "The offer has a data channel, and this node carries media only.",
        "Make the offer without createDataChannel().",
    ),
    (
        400,
        "SDP.NO_BUNDLE",
        "The offer has several media sections that are not bundled on one transport.",
        "Set the bundle policy to max-bundle, so that a=group:BUNDLE names all (RFC 9143).",
    ),
    (
        400,
        "SDP.NO_RTCP_MUX",
        "The offer wants RTCP on a port of its own; here RTP and RTCP share one port.",
        "Add a=rtcp-mux to every media section (RFC 5761).",
    ),
    (
        400,
        "SDP.NO_ICE",
        "The offer has no ICE credentials, so no path can be proved.",
        "Add a=ice-ufrag and a=ice-pwd (RFC 8839); every WebRTC stack does.",
    ),
    (
        406,
        "SDP.NO_COMMON_CODEC",
        "The offer and this stream have no codec in common.",
        "Offer the codec that the detail names, or use another browser or encoder.",
    ),
    (
        400,
        "SDP.BAD_SETUP",
        "The offer's DTLS role cannot be answered.",
        "Offer a=setup:actpass (RFC 8842 §5.2).",
    ),
    (
        400,
        "SDP.NO_MEDIA",
        "The offer has no audio or video section that could be used.",
        "Publishing needs a sendonly section, watching a recvonly one.",
    ),
    (
        422,
        "SDP.SEVERAL_TRACKS",
        "The offer sends several pictures or several sounds; a stream has one of each.",
        "Publish one camera and one microphone; for several, publish several streams.",
    ),
    (
        415,
        "HTTP.WRONG_TYPE",
        "The body has a type that this address does not take.",
        "Send an offer as application/sdp, a trickle update as application/trickle-ice-sdpfrag.",
    ),
    (
        400,
        "HTTP.MALFORMED",
        "The request cannot be read.",
        "Correct the field that the detail names.",
    ),
    (
        413,
        "HTTP.TOO_LARGE",
        "The body is larger than this address takes.",
        "Send a smaller body; the detail names the limit.",
    ),
    (
        428,
        "HTTP.PRECONDITION_REQUIRED",
        "A change of a session must say which version of it it changes.",
        'Add If-Match with the ETag of the session, or If-Match: "*" for an ICE restart '
        "(RFC 9725 §4.3.1).",
    ),
    (
        412,
        "HTTP.PRECONDITION_FAILED",
        "The session has changed since: this update is for an older ICE generation.",
        "Use the ETag of the newest answer, or drop the update.",
    ),
    (
        404,
        "HTTP.NOT_FOUND",
        "There is nothing at this address.",
        "Check the address; a session ends when it is deleted or its path is lost.",
    ),
    (
        405,
        "HTTP.METHOD_NOT_ALLOWED",
        "This address does not take that method.",
        "Use one of the methods in the Allow header.",
    ),
    (
        403,
        "HTTP.FORBIDDEN_ORIGIN",
        "This page's origin is not admitted here.",
        "Name the origin in the node's configuration under cors.",
    ),
    (
        503,
        "HTTP.TOO_MANY",
        "The node has as many sessions as it admits.",
        "Wait as long as Retry-After says, then try again.",
    ),
    (
        500,
        "HTTP.INTERNAL",
        "The node made a mistake of its own.",
        "Report it with its instance: the line of the node's log with the same one says where.",
    ),
    (
        401,
        "TOKEN.MISSING",
        "This address asks for a token or a client certificate, and none came.",
        "Send Authorization: Bearer with a token from `sealcast token`.",
    ),
    (
        401,
        "TOKEN.MALFORMED",
        "The token cannot be read.",
        "Copy the whole token as `sealcast token` printed it.",
    ),
    (
        401,
        "TOKEN.EXPIRED",
        "The token's time is over.",
        "Ask for a new one: `sealcast token VERB STREAM --for 1h`.",
    ),
    (
        401,
        "TOKEN.TOO_LONG_LIVED",
        "The token would be valid for more than 24 hours, and a token cannot be revoked.",
        "Ask for at most 24h; an encoder that runs for longer uses a client certificate.",
    ),
    (
        401,
        "TOKEN.NOT_YET_VALID",
        "The token's time has not begun, so one of the two clocks is wrong.",
        "Compare the clock of the machine that issued the token with this node's.",
    ),
    (
        401,
        "TOKEN.WRONG_SIGNATURE",
        "The token was not signed by this node.",
        "Use a token of this node; after its key was changed, old tokens end.",
    ),
    (
        403,
        "TOKEN.WRONG_STREAM",
        "The token is for another stream.",
        "Ask for a token for this stream.",
    ),
    (
        403,
        "TOKEN.WRONG_VERB",
        "The token is for another purpose.",
        "A publisher needs a publish token, a viewer a watch token.",
    ),
    (
        401,
        "ADMIN.REFUSED",
        "The account, the password or the code is wrong, or the account rests after wrong codes.",
        "Try again with the next code; `sealcast admin reset NAME` on the node's machine makes a "
        "new password and secret.",
    ),
    (
        429,
        "ADMIN.TOO_MANY",
        "Too many logins were tried, from this address or at this account.",
        "Wait as long as the detail says; the door `secure` with a client certificate and "
        "`sealcast admin` are not held up.",
    ),
    (
        401,
        "ADMIN.SESSION_OVER",
        "The session is over: too long idle, too old, ended, or its account was changed.",
        "Log in again.",
    ),
    (
        403,
        "IDENTITY.NOT_ALLOWED",
        "This identity is known but may not do that.",
        "Use one that may, or allow it in [[permissions]]; `sealcast identity explain` says what "
        "was looked at.",
    ),
    (
        500,
        "IDENTITY.NOT_FOR_SERVERS",
        "A door's certificate is for clients only (extended key usage).",
        "Give the door one for servers: sealcast identity issue --as server --host NAME.",
    ),
    (
        500,
        "IDENTITY.CERTIFICATE_MALFORMED",
        "A certificate or key file cannot be read.",
        "Restore the file from a backup, or remove it so that a new one is made.",
    ),
    (
        500,
        "IDENTITY.KEY_EXPOSED",
        "A private key file can be read by others, so it counts as known.",
        "Set its mode to 0600 after making sure that nobody read it, or issue a new one.",
    ),
    (
        400,
        "IDENTITY.BAD_NAME",
        "That is not a name an identity can have.",
        "Use 1 to 128 of a-z, 0-9, dot, dash, underscore, in parts divided by slashes.",
    ),
    (
        400,
        "IDENTITY.REQUEST_MALFORMED",
        "The certificate signing request cannot be read, or its own signature does not hold.",
        "Send one PKCS#10 request as PEM, signed with the key that it is for.",
    ),
    (
        422,
        "IDENTITY.REQUEST_NAME",
        "The certificate signing request asks for another name than it was to ask for.",
        "Leave the subject empty or put the name alone into CN; the authority adds the SPIFFE ID.",
    ),
    (
        422,
        "IDENTITY.REQUEST_EXTENSION",
        "The certificate signing request asks for something that the profile does not give.",
        "Leave out what the detail names; the profile decides usages and constraints.",
    ),
    (
        422,
        "IDENTITY.REQUEST_IS_AUTHORITY",
        "The certificate signing request is for an authority, and no profile makes one.",
        "Ask for an end's certificate: no CA bit, no right to sign certificates.",
    ),
    (
        422,
        "IDENTITY.WEAK_KEY",
        "The key is too weak, or of a kind that not every peer here can verify.",
        "Use ECDSA on P-256 or P-384, Ed25519, or RSA with 3072 to 4096 bits and exponent 65537.",
    ),
    (
        422,
        "IDENTITY.NOT_OF_PROFILE",
        "The profile does not give what was asked for.",
        "Ask for what the profile gives, or choose another; the detail says which rule it was.",
    ),
    (
        401,
        "IDENTITY.TOKEN_UNKNOWN",
        "This authority never issued that enrolment token.",
        "Copy the whole token as `sealcast identity token` printed it.",
    ),
    (
        401,
        "IDENTITY.TOKEN_EXPIRED",
        "The enrolment token's fifteen minutes are over.",
        "Ask for a new one: `sealcast identity token NAME`.",
    ),
    (
        409,
        "IDENTITY.TOKEN_USED",
        "The enrolment token was used before; if that was not you, somebody else has the name.",
        "See who: `sealcast identity show NAME`. Then ask for a new token.",
    ),
    (
        401,
        "IDENTITY.TOKEN_REVOKED",
        "The enrolment token was revoked together with the name that it is for.",
        "Ask whoever runs the authority for a new one: `sealcast identity token NAME`.",
    ),
    (
        403,
        "IDENTITY.TOKEN_OTHER",
        "The enrolment token is for another name or another profile.",
        "Ask for a token for this name: `sealcast identity token NAME`.",
    ),
    (
        404,
        "IDENTITY.NO_ISSUER",
        "There is no authority of that serial here, or it is trusted no more.",
        "Take the serial from the chain; or ask for `client`, `server` or `root`.",
    ),
    (
        403,
        "IDENTITY.RENEW_UNKNOWN",
        "The certificate that was shown is not one of this authority, so it is not renewed here.",
        "Enrol instead: ask for a token, `sealcast identity token NAME`.",
    ),
    (
        403,
        "IDENTITY.RENEW_NO_CERTIFICATE",
        "A renewal came without the certificate that is to be renewed.",
        "Send it to the door that asks for certificates (secure), and show it there.",
    ),
    (
        403,
        "IDENTITY.RENEW_REVOKED",
        "The certificate that was shown has been revoked, so it is not renewed.",
        "Ask the operator why; a new one needs a new token: `sealcast identity token NAME`.",
    ),
    (
        403,
        "IDENTITY.RENEW_EXPIRED",
        "The certificate that was shown has expired, so it can no longer renew itself.",
        "Enrol again: ask the operator for a token, `sealcast identity token NAME`.",
    ),
    (
        429,
        "IDENTITY.TOO_MANY_TRIES",
        "Too many attempts to get a certificate came from this address.",
        "Wait as long as Retry-After says, and use the token exactly as it was printed.",
    ),
    (
        400,
        "STREAM.BAD_NAME",
        "That is not a name a stream can have.",
        "Use 1 to 128 of a-z, A-Z, 0-9, dot, dash, underscore, in parts divided by slashes.",
    ),
    (
        409,
        "STREAM.TAKEN",
        "Another identity is publishing this stream.",
        "Wait until it has stopped, publish under another name, or use the same identity.",
    ),
    (
        409,
        "STREAM.ABSENT",
        "Nobody is publishing this stream.",
        "Try again when the publisher has started; Retry-After says when.",
    ),
    (
        503,
        "STREAM.NOT_READY",
        "The stream has started, but its first picture has not come yet.",
        "Try again in a moment; Retry-After says when.",
    ),
    (
        406,
        "STREAM.B_FRAMES",
        "The stream has B-frames, which WebRTC cannot play.",
        "Encode without them: add `-bf 0` (x264: `bframes=0`) to the encoder.",
    ),
    (
        503,
        "STREAM.TOO_MANY_VIEWERS",
        "The stream has as many viewers as this node admits.",
        "Try again later, or watch at another node.",
    ),
    (
        503,
        "STREAM.TOO_MANY",
        "The node carries as many streams as it admits.",
        "Stop another one first, or publish to another node.",
    ),
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
    (
        502,
        "FRONT.APP_BAD_ANSWER",
        "The application behind the door gave an answer that is not HTTP.",
        "A fault of this node; report it.",
    ),
    (
        503,
        "FRONT.APP_BUSY",
        "Every connection to the application is in use, or the client holds its share of them.",
        "Send fewer requests at once, and take the answers; try again in a moment.",
    ),
    (
        504,
        "FRONT.APP_TIMEOUT",
        "The application took too long to answer.",
        "Try again; report it if it stays.",
    ),
    (
        502,
        "FRONT.APP_UNAVAILABLE",
        "The application behind the door does not answer.",
        "The node is starting or stopping; try again in a moment.",
    ),
    (
        400,
        "FRONT.BAD_HTTP",
        "What the client sent is not valid HTTP.",
        "Use an HTTP/1.1 or HTTP/2 client.",
    ),
    (
        431,
        "FRONT.HEADER_TOO_LARGE",
        "The head of the request is larger than the door admits.",
        "Send fewer or shorter headers.",
    ),
    (
        400,
        "FRONT.BAD_REQUEST",
        "The request cannot be forwarded as it is.",
        "Correct what the detail names.",
    ),
    (
        408,
        "FRONT.BODY_STALLED",
        "The client stopped sending the body of its request, or sent it too slowly.",
        "Send it again in one go; an offer is a few kilobytes.",
    ),
    (
        500,
        "FRONT.ANSWER_STALLED",
        "The client stopped taking the answer to its request, or took it too slowly.",
        "Read answers to their end, or cancel the request.",
    ),
    (
        500,
        "FRONT.HTTP2_FLOOD",
        "The client began and abandoned more over HTTP/2 than a connection may.",
        "Connect again, and wait for answers before more requests are cancelled.",
    ),
    (
        403,
        "HTTP.NOT_AT_THIS_DOOR",
        "The origin door answers what viewers read, and nothing else.",
        "Publish, watch by WebRTC and administer at the other doors; `sealcast doors` lists them.",
    ),
    (
        403,
        "HTTP.NOT_THE_FRONT",
        "The request did not come through a door of this node.",
        "Use the address of a door; the private socket is the node's own.",
    ),
    (
        500,
        "CLIENT.BAD_ADDRESS",
        "That is not an address of a node or of a stream.",
        "Use the https:// address as the node prints it.",
    ),
    (
        500,
        "CLIENT.BAD_ANSWER",
        "The node's answer cannot be used.",
        "Check that the address is a sealcast node's; report it with the detail.",
    ),
    (
        500,
        "CLIENT.NODE_UNPROVED",
        "The node's certificate is not trusted here, so nothing was sent to it.",
        "Give the node's CA certificate with --ca, or use the node's proper name.",
    ),
    (
        500,
        "CLIENT.UNREACHABLE",
        "The node does not answer.",
        "Check that it is running, and the address and port.",
    ),
)

_PATH: Final = (
    (
        "ICE.TIMEOUT",
        "No path to the peer was found in time: no authenticated packet came back.",
        "Open the node's UDP port in the firewalls between, or set `advertise` to the address that "
        "the peer can reach.",
    ),
    (
        "ICE.CONSENT_LOST",
        "The peer no longer answers on any path.",
        "The peer vanished or its network changed; it can rejoin.",
    ),
    (
        "ICE.BAD_INTEGRITY",
        "A path check had a wrong password and was dropped.",
        "Harmless unless a leg never gets a path: then offer and checks come from different peers.",
    ),
    (
        "ICE.UNKNOWN_UFRAG",
        "A path check named no leg of this node and was dropped.",
        "Harmless: a leg that has ended, or a stranger.",
    ),
    (
        "ICE.MALFORMED",
        "A path check cannot be read and was dropped.",
        "Harmless unless it goes on: then find who sends to this port.",
    ),
    (
        "ICE.TOO_MANY_SOURCES",
        "One leg's checks came from more addresses than a leg may have.",
        "A peer behind a NAT that changes ports for each packet; use another network.",
    ),
    (
        "PACKET.UNKNOWN_KIND",
        "A datagram belongs to no known protocol and was dropped.",
        "Harmless unless it goes on: then find who sends to this port.",
    ),
    (
        "ICE.UNEXPECTED_RESPONSE",
        "A path check was answered that nobody had sent, and the answer was dropped.",
        "Harmless unless it goes on.",
    ),
    (
        "ICE.UNKNOWN_LOCAL_ADDRESS",
        "A path check came to an address that is no candidate and was dropped.",
        "Bind the media port to that address if peers shall use it.",
    ),
    (
        "ICE.BAD_CREDENTIALS",
        "A leg was given ICE credentials that RFC 8445 does not admit.",
        "A fault of this node; report it.",
    ),
    (
        "ICE.NO_LOCAL_ADDRESS",
        "A leg was given no local address that can be a candidate.",
        "Bind the media port to an address of this machine, or set `advertise`.",
    ),
)

_HANDSHAKE: Final = (
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
    (
        "FRONT.TOO_MANY_CONNECTIONS",
        "The door has as many connections as it admits.",
        "Try again later.",
    ),
    (
        "FRONT.TOO_MANY_HANDSHAKES",
        "The handshake found no free place within its time, "
        "or its address holds its share of them.",
        "Try again in a moment; many clients came at once.",
    ),
)

_IDENTITY: Final = (
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
        "IDENTITY.REVOKED",
        "The certificate that the leg or connection was opened with has been revoked.",
        "`sealcast identity show` says when and why; if its holder may come back, issue a new one.",
    ),
    (
        "IDENTITY.EXPIRED",
        "The certificate that the leg or connection was opened with has expired.",
        "Renew before it ends (`sealcast agent` does), and connect again with the new one.",
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
    (
        "TS.UNKNOWN_IDENTITY",
        "The certificate's name is not in the table of encoders and streams.",
        "Issue it one called encoder/NAME, or add its name to [ingest.ts.streams] in the file.",
    ),
)

# Keys in tokens; most of it is met by commands, some by the start of a node.
_ACME: Final = (
    (
        "ACME.NOT_INSTALLED",
        "A door's certificate is to come by ACME, and the library for it is not installed.",
        "pip install 'sealcast[acme]'",
    ),
    (
        "ACME.TERMS",
        "The terms of service of the ACME authority have not been agreed to.",
        "Read them, then set acme.terms_agreed = true.",
    ),
    (
        "ACME.UNREACHABLE",
        "The ACME authority cannot be reached, or does not speak ACME.",
        "It is tried again, later each time; the old certificate stays. Check acme.directory, and "
        "that this machine may call it.",
    ),
    (
        "ACME.REFUSED",
        "The ACME authority refused the order.",
        "Its own words are beside this; it is tried again, later each time.",
    ),
    (
        "ACME.RATE_LIMITED",
        "The ACME authority takes no more orders from this account for now.",
        "Nothing: the next order waits as long as it asked for. Do not delete the state folder.",
    ),
    (
        "ACME.CHALLENGE_FAILED",
        "The ACME authority did not find this node under a name that it asked for.",
        "The name must lead here: at port 443 to the public door (tls-alpn-01), or at port 80 to "
        "acme.http_bind (http-01).",
    ),
    (
        "ACME.CHALLENGE_ANSWERED",
        "A connection asked for the answer to an open challenge of ACME, got it and was closed.",
        "Nothing is wrong: the authority checks from several places.",
    ),
)

_SPIFFE: Final = (
    (
        "SPIFFE.NOT_INSTALLED",
        "A door's identity is to come from SPIFFE, and the library for it is not installed.",
        "pip install 'sealcast[spiffe]'",
    ),
    (
        "SPIFFE.UNREACHABLE",
        "There is no SPIFFE Workload API at the configured socket.",
        "Start the agent first, and give this user access to its socket (spiffe.socket).",
    ),
    (
        "SPIFFE.NO_IDENTITY",
        "The SPIFFE Workload API gave this node no identity in time.",
        "Register this workload with the agent's server, by what the agent sees of it.",
    ),
    (
        "SPIFFE.BAD_IDENTITY",
        "The SPIFFE Workload API gave an identity that this node cannot use; the old one stays.",
        "It must be of node.trust_domain, with the authorities of that trust domain beside it.",
    ),
)

_TOKENS: Final = (
    (
        "HSM.BAD_URI",
        "A `pkcs11:` URI cannot be read, or names too little.",
        "Write pkcs11:token=NAME;object=KEY?module-path=/…/lib.so&pin-source=file:/…, as RFC 7512 "
        "says.",
    ),
    (
        "HSM.NO_MODULE",
        "The token's PKCS#11 library cannot be loaded.",
        "Give the path of the library that came with the token as module-path=.",
    ),
    (
        "HSM.TOKEN_GONE",
        "The token is not there, or has stopped answering.",
        "Plug it in, or start its service; it is opened afresh when it is next needed.",
    ),
    (
        "HSM.AMBIGUOUS",
        "More than one token or key is as the URI says.",
        "Add serial= for the token or id= for the key, so that one is left.",
    ),
    (
        "HSM.PIN_MISSING",
        "The token wants a PIN, and none can be read.",
        "Put it alone into a file of mode 0600 and add pin-source=file:/… to the URI.",
    ),
    (
        "HSM.PIN_WRONG",
        "The token refuses the PIN.",
        "Put the right one into the file; the wrong one is not tried again, since tokens lock "
        "themselves after a few.",
    ),
    (
        "HSM.LAST_TRY",
        "One more wrong PIN would lock the token, so none was tried.",
        "Check the PIN in the file, log in once with the token's own tool, then try again.",
    ),
    (
        "HSM.LOCKED",
        "The token takes no PIN: it locked itself, the PIN has expired, or none was set.",
        "Have its security officer set a new one with the token's own tool.",
    ),
    (
        "HSM.NO_KEY",
        "The token has no private key as the URI says.",
        "Look at its objects with the token's own tool; object= and id= are compared exactly.",
    ),
    (
        "HSM.KEY_UNFIT",
        "The token's key cannot do what is asked of it.",
        "Use an ECDSA key on P-256 or P-384, or an RSA key, that may sign, with its public part.",
    ),
    (
        "HSM.KEY_EXISTS",
        "The token has a key of that name, and none is ever overwritten.",
        "Choose another object=, or remove the old key with the token's own tool.",
    ),
    (
        "HSM.KEY_STAYS",
        "A key in a token cannot be taken out of it.",
        "Nothing needs to: use the URI where a key file would be named.",
    ),
    (
        "HSM.FORKED",
        "The token was opened before this process was forked, and its parent goes on with it.",
        "Start a new program for it (spawn, not fork).",
    ),
    (
        "HSM.FAILED",
        "The token could not do it.",
        "The detail has the library's name for it; look there, and at the token's own log.",
    ),
)

_KEYS: Final = (
    (
        "DTLS.NO_SRTP_PROFILE",
        "The handshake completed without an SRTP profile that both ends admit.",
        "Use a peer with AES-GCM, or the policy `standard`, which admits AES128_CM_SHA1_80.",
    ),
    (
        "SRTP.MALFORMED",
        "A packet is not well-formed RTP or RTCP, and was neither protected nor opened.",
        "Look at the program that made it: the peer's if it was received, this side's if it was to "
        "be sent.",
    ),
    (
        "SRTP.REPLAYED",
        "A packet came twice and was dropped.",
        "Harmless: networks duplicate; attackers replay.",
    ),
    (
        "SRTP.REPLAY_OLD",
        "A packet older than the replay window was dropped.",
        "Harmless unless it goes on: then the network delays packets by seconds.",
    ),
    (
        "SRTP.AUTH_FAILED",
        "A packet was forged or damaged and was dropped.",
        "Harmless in small numbers; if none gets through, the keys of the two ends differ.",
    ),
    (
        "SRTP.TOO_MANY_SSRCS",
        "A packet has one source more than its context may hold, and was dropped.",
        "Send fewer sources (SSRCs) under one key, or make the context for more of them.",
    ),
    (
        "SRTP.KEY_EXHAUSTED",
        "A master key has protected as many packets as is safe.",
        "Agree on a new key: join again, or add one to both ends.",
    ),
    (
        "SRTP.SSRC_EXHAUSTED",
        "A packet's SSRC has used its last packet index.",
        "Send on under another SSRC: a new key does not begin this one again.",
    ),
    (
        "SRTP.INDEX_USED",
        "A packet would have used a packet index twice and was not sent.",
        "Protect a sequence number once and send it again as RTX (RFC 4588); if a node says this, "
        "report it.",
    ),
    (
        "SRTP.BUFFER_TOO_SMALL",
        "The buffer for a packet's result is too small, and nothing was protected or opened.",
        "Leave the sender's overhead free behind a packet to protect, and give a packet to open as "
        "many bytes as it has; if a node says this, report it.",
    ),
    (
        "SRTP.SSRC_NOT_DECLARED",
        "A packet has an SSRC that its context was not made for, and was dropped.",
        "Declare the SSRC when the context is made, or declare none.",
    ),
    (
        "SRTP.UNKNOWN_MKI",
        "A packet names a master key that the receiver does not hold, and was dropped.",
        "Add the new key at the receiver before the sender uses it.",
    ),
    (
        "SRTP.UNENCRYPTED_RTCP",
        "An RTCP packet came authenticated but not encrypted, and was dropped.",
        "Let the peer encrypt SRTCP; or, if it cannot, allow E = 0 for this context.",
    ),
    (
        "SRTP.HEADER_NOT_PROTECTED",
        "A packet's header extension or CSRCs are not protected as agreed, or cannot be.",
        "Agree on the same header protection at both ends; use RFC 8285 extensions with it.",
    ),
    (
        "SRTP.ENGINE_FAILED",
        "The cipher could not be run, and the packet was dropped.",
        "The process is out of memory; give it more.",
    ),
    (
        "SRTP.KEY_NEARLY_SPENT",
        "A master key has few packets left.",
        "Agree on another key, and let both ends add it. A leg cannot and ends with its key: let "
        "the peer join again.",
    ),
    (
        "SRTP.KEY_IN_USE",
        "A living sender has the same master key and salt: keystream would repeat.",
        "Use that sender, or declare disjoint sets of SSRCs for both.",
    ),
    (
        "SRTP.KEY_USED_BEFORE",
        "A sender that is gone protected packets with this key and salt: keystream would repeat.",
        "Agree on a new key, or keep one sender for the key's whole life.",
    ),
    (
        "SRTP.NULL_CIPHER",
        "The profile of a key does not encrypt.",
        "Choose one that does; only tests and tools may ask for this one.",
    ),
    (
        "SRTP.BAD_OPTION",
        "An option of an SRTP context has a value that it cannot have.",
        "Give one of the values that the detail names.",
    ),
    (
        "SRTP.ROC_TOO_LATE",
        "The rollover counter of an SSRC is settled by its packets and cannot be set any more.",
        "Set it before the first packet.",
    ),
    (
        "SRTP.NOT_READY",
        "Media came before the keys and was dropped.",
        "Harmless: it was early.",
    ),
    (
        "SRTP.BAD_KEY",
        "A key, or its identifier, does not fit its profile or its context.",
        "The detail says what fits: lengths, profile, identifier.",
    ),
    (
        "SRTP.UNKNOWN_PROFILE",
        "No SRTP profile has this name.",
        "Use a member of sealcast.SrtpProfile.",
    ),
    (
        "SRTP.CONTEXT_CLOSED",
        "The SRTP context was closed and its keys are gone.",
        "Make a new context with a new key.",
    ),
    (
        "SRTP.CONTEXT_FORKED",
        "An SRTP context was used in a process that was forked after the context was made.",
        "Make contexts in the process that uses them; senders each with a key of its own.",
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
    (
        "POLICY.OUTSIDE_GRANT",
        "A leg was sealed with something that policy had not granted, and was closed.",
        "A fault of this node; report it.",
    ),
)

_MEDIA: Final = (
    (
        "STREAM.TAKEN_OVER",
        "The same identity publishes this stream from a newer leg.",
        "Nothing is wrong, unless both are yours and should not be: then stop one.",
    ),
    (
        "STREAM.CODEC_CHANGED",
        "The publisher came back with another codec, so this viewer must join again.",
        "Join again; the pages do it by themselves.",
    ),
    (
        "STREAM.ENDED",
        "The publisher stopped the stream.",
        "Nothing is wrong if it was meant to; viewers join again when the stream is live.",
    ),
    (
        "STREAM.PUBLISHER_REVOKED",
        "The certificate that the stream was published with has been revoked.",
        "Ask who runs the stream; viewers join again when it is published anew.",
    ),
    (
        "LEG.DELETED",
        "The peer ended its session.",
        "Nothing is wrong: it left.",
    ),
    (
        "LEG.CLOSED_BY_OPERATOR",
        "An operator of this node ended the leg.",
        "Ask the operator.",
    ),
    (
        "NODE.STOPPING",
        "The node is shutting down.",
        "Join again when it is back.",
    ),
    (
        "TS.GARBAGE",
        "What the encoder sends is not an MPEG transport stream.",
        "Send MPEG-TS (ffmpeg: -f mpegts) to this door.",
    ),
    (
        "TS.GONE",
        "The encoder ended its connection before anything of its stream was read.",
        "Keep the connection open while it sends; the encoder's own log says why it left.",
    ),
    (
        "TS.NO_VIDEO",
        "The transport stream has no video and no audio that could be carried.",
        "Add an H264 video stream.",
    ),
    (
        "TS.TRUNCATED",
        "The transport stream ended in the middle.",
        "The encoder or its network stopped; it can publish again.",
    ),
    (
        "TS.UNSUPPORTED_CODEC",
        "The transport stream has a codec that is not carried; it was left out.",
        "Encode video as H264 and audio as AAC, MP2 or Opus.",
    ),
    (
        "TS.TIMESTAMP_JUMP",
        "The encoder's timestamps jumped; the stream was re-anchored on the node's clock.",
        "Harmless after an encoder's restart; otherwise look at its clock.",
    ),
    (
        "TS.TRANSCODE_FAILED",
        "An audio frame could not be turned into Opus and was left out.",
        "Look at the encoder's audio; the picture goes on.",
    ),
    ("RTP.MALFORMED", "A media packet cannot be read and was dropped.", "Report the publisher."),
    (
        "RTP.UNKNOWN_PAYLOAD",
        "A media packet has a payload type that was not agreed and was dropped.",
        "Report the publisher.",
    ),
    (
        "RTP.UNKNOWN_SSRC",
        "A media packet belongs to no agreed section and was dropped.",
        "Publish one video and one audio without simulcast.",
    ),
    (
        "RTP.PAYLOAD_TOO_BIG",
        "A media packet is longer than a track takes and was dropped.",
        "Set the publisher's packet size to 1200 bytes.",
    ),
    ("RTP.DUPLICATE", "A media packet came twice and was dropped.", "Harmless."),
    ("RTP.TOO_OLD", "A media packet came too late to be of use and was dropped.", "Harmless."),
    ("RTP.PADDING_CONSUMED", "A bandwidth probe was consumed.", "Nothing is wrong."),
    ("RTCP.MALFORMED", "A control packet cannot be read and was dropped.", "Report the peer."),
    (
        "RTCP.NACK_UNANSWERED",
        "A viewer asked for a packet that is no longer kept.",
        "Harmless unless pictures freeze: then the viewer's network loses too much.",
    ),
    (
        "RTCP.NACK_LIMITED",
        "A viewer asked for more retransmissions than its share.",
        "The viewer's network loses too much; a lower bitrate helps.",
    ),
    (
        "LEG.ENDED",
        "A datagram for a leg that has ended was dropped.",
        "Harmless.",
    ),
    (
        "TLS.IDLE",
        "The peer sent nothing for as long as the door waits.",
        "The encoder or its network stopped; it can publish again.",
    ),
    (
        "NODE.CLOSED_BY_NODE",
        "The node closed the connection.",
        "The leg's own code says why.",
    ),
    (
        "TS.FAILED",
        "Reading the transport stream failed.",
        "The detail has the demuxer's words; publish again, and report it if it stays.",
    ),
    (
        "PAYLOAD.MALFORMED",
        "A payload breaks its format's rules; the frame was dropped.",
        "Report the publisher.",
    ),
    (
        "PAYLOAD.FRAME_TOO_BIG",
        "A frame is too big and was dropped.",
        "Lower the encoder's bitrate.",
    ),
    (
        "PAYLOAD.NOT_ANNEX_B",
        "An H264 frame is not in Annex B form and was dropped.",
        "Report the publisher.",
    ),
    (
        "PAYLOAD.ROOM_TOO_SMALL",
        "A packet had no room for its payload.",
        "A fault of this node; report it.",
    ),
    (
        "RTP.TOO_MANY_STREAMS",
        "The peer uses more sources than a leg may have; the rest was dropped.",
        "Publish one video and one audio without simulcast.",
    ),
    (
        "CLIENT.NO_MEDIA",
        "The leg is sealed, but no media came.",
        "The publisher may have paused; try again.",
    ),
)

# Of the node, like those below, but a request can meet them: so they have a status.
_NODE_ANSWERS: Final = (
    (
        503,
        "RELAY.BUSY",
        "The relay has more commands waiting than it takes.",
        "Try again in a moment.",
    ),
    (
        503,
        "RELAY.NO_ANSWER",
        "The relay did not answer in time.",
        "The machine is overloaded; report it if it stays.",
    ),
    (
        503,
        "RELAY.STOPPED",
        "The relay has stopped.",
        "Start the node again; its log says why.",
    ),
    (
        503,
        "RELAY.TOO_MANY_LEGS",
        "The relay has as many legs as it may have.",
        "Try again later.",
    ),
    (
        503,
        "RELAY.UFRAG_TAKEN",
        "Another leg has this ICE user fragment.",
        "Try again: the next one is drawn anew.",
    ),
    (
        404,
        "RELAY.UNKNOWN_LEG",
        "The relay knows no such leg.",
        "It has ended meanwhile.",
    ),
)

_NODE: Final = (
    (
        "RELAY.BIND_FAILED",
        "The media port cannot be opened.",
        "Another program has it, or the address is not this machine's; choose another.",
    ),
    (
        "RELAY.NO_ADDRESS",
        "No address was found that a peer could send media to.",
        "Bind the media port to an address of this machine, or set `advertise`.",
    ),
    (
        "STREAM.YIELDED",
        "Another publisher came to this stream before this one had finished its handshake.",
        "Connect, or leave the stream to the other; a publisher with its keys does not yield.",
    ),
    (
        "RELAY.SINK_FULL",
        "A frame was dropped because the track was busy.",
        "The machine is overloaded; lower the bitrate or the number of viewers.",
    ),
    ("RELAY.UNKNOWN_SOURCE", "A packet from an unproved address was dropped.", "Harmless."),
    (
        "RELAY.ADDRESS_TAKEN",
        "Two legs claim one remote address.",
        "Harmless: the older one keeps it.",
    ),
    (
        "RELAY.DTLS_QUEUE_FULL",
        "Too many handshake packets at once; some were dropped.",
        "Harmless: handshakes repeat them.",
    ),
    ("RELAY.AWAITING_KEY_FRAME", "A packet before the first key frame was held back.", "Harmless."),
    ("RELAY.SOURCE_SUPERSEDED", "A packet of a replaced publisher was dropped.", "Harmless."),
    ("RELAY.NO_TRACK", "A packet for a track that has ended was dropped.", "Harmless."),
    ("RELAY.FRAME_REFUSED", "A frame cannot be packetized and was dropped.", "Report the encoder."),
    ("RELAY.FRAME_TOO_BIG", "A frame is too big and was dropped.", "Lower the encoder's bitrate."),
    ("RELAY.TAP_FULL", "A slow reader lost a frame.", "Harmless to everybody else."),
    ("RELAY.TAP_GAP", "A frame with a missing packet was not handed on.", "Harmless."),
    (
        "RELAY.VIEWER_LAGGED",
        "A viewer fell behind and was moved to the newest picture.",
        "The viewer's network is too slow for the stream's bitrate.",
    ),
    ("RELAY.SEND_WOULD_BLOCK", "The kernel's send buffer was full.", "Raise net.core.wmem_max."),
    ("RELAY.SEND_FAILED", "The kernel refused to send a packet.", "Look at the machine's network."),
    ("RELAY.NO_PATH", "A packet had no proved path and was not sent.", "Harmless: it was early."),
    ("RELAY.EVENT_LOST", "Events of the relay were lost.", "The node is overloaded; report it."),
    (
        "CORE.BAD_ARGUMENT",
        "The native side was called wrongly.",
        "A fault of this node; report it.",
    ),
    (
        "FRONT.BIND_FAILED",
        "A door's port cannot be opened.",
        "Another program has it, or the address is not this machine's; choose another.",
    ),
    (
        "CONFIG.UNREADABLE",
        "The configuration file cannot be read.",
        "Check the path and the file's permissions.",
    ),
    ("CONFIG.SYNTAX", "The configuration is not valid TOML.", "Correct the line in the detail."),
    (
        "CONFIG.UNKNOWN_KEY",
        "The configuration has a key that does not exist.",
        "Correct or remove it; `sealcast config --schema` lists every key.",
    ),
    (
        "CONFIG.WRONG_TYPE",
        "A value of the configuration has the wrong type.",
        "Give the type that the detail names.",
    ),
    (
        "CONFIG.BAD_VALUE",
        "A value of the configuration is not admitted.",
        "Give one of the values that the detail names.",
    ),
    (
        "CONFIG.UNKNOWN_POLICY",
        "The configuration names a policy that does not exist.",
        "Use strict, standard or compatible.",
    ),
    (
        "RELAY.BAD_SPEC",
        "The relay was given a leg that makes no sense.",
        "A fault of this node; report it.",
    ),
    (
        "RELAY.START_FAILED",
        "The relay's thread could not be started.",
        "The detail has the system's words.",
    ),
    (
        "RELAY.CLOSED",
        "The leg was closed by command.",
        "Nothing is wrong.",
    ),
    (
        "RELAY.LEG_REFUSED",
        "The relay has a leg of that id already.",
        "A fault of this node; report it.",
    ),
    (
        "RELAY.TRACK_REFUSED",
        "The relay refused a track: it exists, is one too many, or has no such codec.",
        "A fault of this node; report it.",
    ),
    (
        "RELAY.TOO_MANY_SOURCES",
        "A track has as many sources as it may have.",
        "Wait until an older publisher has ended.",
    ),
    (
        "RELAY.TOO_MANY_TAPS",
        "A track has as many readers as it may have.",
        "Close one.",
    ),
    (
        "RELAY.RECEIVE_FAILED",
        "A socket could not be read.",
        "Look at the machine's network.",
    ),
    (
        "RELAY.DATAGRAM_TRUNCATED",
        "A datagram was longer than any that WebRTC sends and was dropped.",
        "Harmless unless it goes on.",
    ),
    (
        "FRONT.ACCEPT_FAILED",
        "The system refused to hand over a waiting connection.",
        "Raise the limit of open files (ulimit -n).",
    ),
    (
        "FRONT.BAD_DOOR",
        "The description of a door makes no sense.",
        "Correct the door in the configuration.",
    ),
    (
        "FRONT.BAD_SECRET",
        "The secret between front and application is malformed.",
        "A fault of this node; report it.",
    ),
    (
        "FRONT.DOOR_EXISTS",
        "A door of that name is open already.",
        "Give each door a name of its own.",
    ),
    (
        "FRONT.NO_SUCH_DOOR",
        "There is no door of that name.",
        "Use a name of the configuration.",
    ),
    (
        "FRONT.NO_CLIENT_ROOTS",
        "A door asks for client certificates and has no authority to judge them by.",
        "Give the door its trust bundle.",
    ),
    (
        "FRONT.EVENTS_FULL",
        "A connection was refused because the node does not keep up with events.",
        "The machine is overloaded; report it if it stays.",
    ),
    (
        "FRONT.INGEST_FAILED",
        "No socket pair could be made for an ingest connection.",
        "Raise the limit of open files (ulimit -n).",
    ),
    (
        "FRONT.START_FAILED",
        "The front's threads could not be started.",
        "The detail has the system's words.",
    ),
    (
        "FRONT.STOPPED",
        "The front has stopped.",
        "Start the node again; its log says why.",
    ),
    (
        "FRONT.OTHER_CODES",
        "Counts under codes beyond the number that is kept apart.",
        "Report it.",
    ),
    (
        "IDENTITY.UNKNOWN_PROFILE",
        "There is no such profile.",
        "Use service, encoder, viewer, admin or node.",
    ),
    (
        "IDENTITY.PASSPHRASE_MISSING",
        "The authority's key is encrypted, and no passphrase came.",
        "Give --passphrase-file (in the configuration: identity.passphrase_file), of mode 0600.",
    ),
    (
        "IDENTITY.PASSPHRASE_WRONG",
        "The passphrase does not open the authority's key, or that file is damaged.",
        "Give the passphrase of `sealcast identity init`; a damaged key comes from the backup.",
    ),
    (
        "IDENTITY.PASSPHRASE_SHORT",
        "The passphrase is too short to protect an authority.",
        "Use at least 12 characters, such as the output of: openssl rand -base64 32.",
    ),
    (
        "IDENTITY.KEY_UNREADABLE",
        "A key or passphrase file cannot be read.",
        "Check the path, and that this user owns the file.",
    ),
    (
        "IDENTITY.NOT_WRITTEN",
        "A certificate or key file cannot be written.",
        "Make room or choose another folder, then try again; the detail has the system's words.",
    ),
    (
        "IDENTITY.NOT_ITS_FILES",
        "The folder has files of that name that belong to another identity.",
        "Give --out a folder of its own for each end.",
    ),
    (
        "IDENTITY.BACKUP_DAMAGED",
        "The file is not a backup of an authority, or it was changed since it was made.",
        "Take another one: `sealcast identity backup` makes them.",
    ),
    (
        "IDENTITY.LIST_REFUSED",
        "A revocation list is not of this authority, so nothing is revoked by it.",
        "Give lists of `sealcast identity crl`, or what a node served of this authority.",
    ),
    (
        "IDENTITY.OLD_ONE_MAY_RUN",
        "Two copies of one authority know nothing of one another's revocations and tokens.",
        "End the old one for good, then say so: --old-one-is-gone.",
    ),
    (
        "IDENTITY.NO_AUTHORITY",
        "There is no authority in this folder.",
        "Make one with `sealcast identity init`, or name the folder of one: --data, in the "
        "configuration identity.authority.",
    ),
    (
        "IDENTITY.NOT_THROW_AWAY",
        "This node's authority is the one that its configuration names, not a throw-away one.",
        "Give --data with that authority's folder, and --passphrase-file.",
    ),
    (
        "IDENTITY.ALREADY_INITIALISED",
        "The folder is not empty, so no authority is made in it.",
        "Choose a new folder; an authority is never overwritten.",
    ),
    (
        "IDENTITY.STORE_LOCKED",
        "Another process holds the authority's store.",
        "Try again; if it stays, end the process that has the store open.",
    ),
    (
        "IDENTITY.STORE_DAMAGED",
        "The authority's store cannot be read or written.",
        "Check free space; else restore the folder from a backup. The detail has SQLite's words.",
    ),
    (
        "IDENTITY.AUTHORITY_EXPIRED",
        "The issuing authority's own certificate has expired or is not yet valid.",
        "Compare the clock; else make a new issuing authority with the root's key.",
    ),
    (
        "IDENTITY.OUTSIDE_PROFILE",
        "The authority was about to sign what its profile does not give, and did not.",
        "A fault of ours; report it.",
    ),
    (
        "IDENTITY.UNKNOWN",
        "Nothing was ever issued to that name.",
        "List what was: `sealcast identity list`.",
    ),
    (
        "IDENTITY.ROOT_KEY_MISSING",
        "Only the root's key can sign new issuing authorities, and it is not here.",
        "Bring it: --root-key FILE. If it is lost, roll the root too: --root.",
    ),
    (
        "IDENTITY.ROLL_UNDER_WAY",
        "A new root was announced and has not begun; issuing authorities come with it.",
        "Wait for its beginning; or roll the root again: --root.",
    ),
    (
        "IDENTITY.OVERLAP_TOO_SHORT",
        "Nobody could renew in so short an overlap.",
        "Give ten seconds at least; after a theft an hour, for a planned change some days.",
    ),
    (
        "IDENTITY.NOT_A_REASON",
        "A certificate of an end is not revoked for that reason.",
        "Use one of those that `sealcast identity revoke --help` lists.",
    ),
    (
        "ADMIN.BAD_NAME",
        "An account cannot be called that.",
        "Use up to 32 lower-case letters, digits, '.', '_' and '-', as in ada.",
    ),
    (
        "ADMIN.PASSWORD_LENGTH",
        "The password is too short or too long.",
        "Take 12 to 512 characters; several words do well.",
    ),
    (
        "ADMIN.EXISTS",
        "There is an account of that name.",
        "`sealcast admin reset` gives it a new password and secret.",
    ),
    (
        "ADMIN.UNKNOWN",
        "There is no account of that name.",
        "List those that there are: `sealcast admin list`.",
    ),
    (
        "ADMIN.CODE_WRONG",
        "The codes of the app do not fit the new secret.",
        "Compare the clocks of this machine and of the phone, and begin again.",
    ),
    (
        "ADMIN.STORE_DAMAGED",
        "The file of the accounts cannot be read or written.",
        "Check free space; else restore the file, or remove it and add the accounts anew.",
    ),
    (
        "AGENT.BAD_FINGERPRINT",
        "That is no fingerprint of an authority.",
        "Give the SHA-256 that `sealcast identity token` printed: 64 hexadecimal digits.",
    ),
    (
        "AGENT.WRONG_AUTHORITY",
        "The node has another authority than the one that the token came with: "
        "it is the wrong address, or somebody is in between. The token was not sent.",
        "Compare address and fingerprint with whoever made the token.",
    ),
    (
        "AGENT.NODE_UNPROVED",
        "The node's certificate does not prove that it is that node, so nothing was sent to it.",
        "Use a name that its certificate carries, and compare the clocks of both machines.",
    ),
    (
        "AGENT.CERTIFICATE_REFUSED",
        "The node does not take the certificate that was shown to it.",
        "Use the door that asks for certificates of this authority; else enrol again.",
    ),
    (
        "AGENT.OTHER_DOOR",
        "This door of the node asks for a certificate, and who enrols has none yet. The token was "
        "not sent.",
        "Enrol at the door that asks for none: the node's public one, by default port 8443.",
    ),
    (
        "AGENT.BAD_CERTIFICATE",
        "The certificate in the node's answer is not what was asked for, and was not used.",
        "Report it to whoever runs the node; the certificate before stays in place.",
    ),
    (
        "AGENT.CLOCKS_DIFFER",
        "The certificate in the node's answer does not fit the time here, so it was not used.",
        "Compare the clocks of both machines; it is tried again by itself.",
    ),
    (
        "AGENT.NO_IDENTITY",
        "There is no certificate with its key in this place.",
        "Enrol with `sealcast identity enroll`, or give the path as DIR/NAME.",
    ),
    (
        "AGENT.NO_NODE",
        "Nobody said which node renews this certificate.",
        "Give --node https://HOST:PORT, the door that asks for certificates.",
    ),
    (
        "AGENT.NO_CLIENT",
        "A server's certificate cannot be shown to a node, so it does not renew itself.",
        "Give --show DIR/NAME with the certificate that the same end has as a client.",
    ),
    (
        "AGENT.EXPIRED",
        "The certificate has expired, so it can no longer renew itself.",
        "Ask for a token (`sealcast identity token NAME`) and run `sealcast identity enroll` "
        "into the same folder; the agent goes on by itself.",
    ),
    (
        "AGENT.HOOK_FAILED",
        "The hook failed; the new certificate is in place all the same.",
        "Run the hook by hand; its output is in the agent's log.",
    ),
    (
        "CLI.NOT_INSTALLED",
        "A package that the command needs is not installed.",
        "Install the command with its packages: pip install 'sealcast[server]'.",
    ),
    (
        "PUBLISH.BAD_ADDRESS",
        "That is not an address of an ingest door.",
        "Use tls://HOST:PORT with the port of the node's door ingest-ts; 8445 if none is given.",
    ),
    (
        "PUBLISH.NO_ENCODER",
        "There is nothing to publish: no ffmpeg, or no stream on standard input.",
        "Install ffmpeg or name it with --ffmpeg, and put its arguments behind --; or pipe a "
        "transport stream in and write - instead.",
    ),
    (
        "PUBLISH.ENCODER_FAILED",
        "The encoder ended by a fault of its own; what it had written was sent.",
        "Read its last messages above; start it again.",
    ),
    (
        "PUBLISH.NODE_GONE",
        "The connection to the node ended.",
        "It is asked again by itself; the node's log says why if it was the node that closed it.",
    ),
    (
        "PUBLISH.TOO_SLOW",
        "The connection takes less than the encoder makes; packets are left out up to a key frame.",
        "Lower the encoder's bitrate, or use a faster line.",
    ),
    (
        "DEMO.NO_ENCODER",
        "The demo's encoder is missing or stopped.",
        "Install the package imageio-ffmpeg, or ffmpeg; the detail has its words.",
    ),
)

_NOTES: Final = (
    (
        "keys",
        "DOWNGRADE.SRTP_CM80",
        "Media is protected by AES in counter mode with an 80-bit HMAC-SHA1 tag, not by AES-GCM.",
        "Update the peer to one with AES-GCM (RFC 7714).",
    ),
    (
        "handshake",
        "DOWNGRADE.DTLS12",
        "The handshake was DTLS 1.2, so certificates crossed the network in clear.",
        "Update the peer to one with DTLS 1.3.",
    ),
    (
        "handshake",
        "DOWNGRADE.TLS12",
        "The connection is TLS 1.2, so certificates crossed the network in clear.",
        "Update the client to one with TLS 1.3.",
    ),
    (
        "identity",
        "NOTE.WEAK_FINGERPRINT_IGNORED",
        "The offer also named fingerprints of weaker hashes; they were ignored.",
        "Nothing needs to be done.",
    ),
    (
        "identity",
        "NOTE.UNPROVED_PEER",
        "The stream is public, so nobody knows who this peer is.",
        "Ask for tokens if viewers should be known.",
    ),
)


def _table() -> Mapping[str, Code]:
    rows = [
        Code(code, "signalling", sentence, remedy, status)
        for status, code, sentence, remedy in _SIGNALLING
    ]
    for stage, part in (
        ("path", _PATH),
        ("handshake", _HANDSHAKE),
        ("identity", _IDENTITY),
        ("identity", _ACME),
        ("identity", _SPIFFE),
        ("keys", _KEYS),
        ("node", _TOKENS),
        ("media", _MEDIA),
        ("node", _NODE),
    ):
        rows += [Code(code, stage, sentence, remedy, 500) for code, sentence, remedy in part]
    rows += [
        Code(code, "node", sentence, remedy, status)
        for status, code, sentence, remedy in _NODE_ANSWERS
    ]
    rows += [Code(code, stage, sentence, remedy, 200) for stage, code, sentence, remedy in _NOTES]
    table = {row.code: row for row in rows}
    if len(table) != len(rows):
        raise AssertionError("a code stands twice in the table")  # caught by the first import
    return MappingProxyType(table)


CODES: Final = _table()


def lookup(code: str) -> Code:
    """The row of `code`; one that is not in the table gets an honest row of its own, so that no
    report is lost.
    """
    row = CODES.get(code)
    if row is not None:
        return row
    return Code(code, "node", f"The node met {code}.", "Report this code; it has no page.", 500)


def problem(code: str, detail: str = "", instance: str | None = None) -> dict[str, str | int]:
    """The problem document (RFC 9457 §3.1) of `code`: what happened, why we think so, what to do
    next.

    `instance` names the one occurrence, such as a request or a leg.
    """
    row = lookup(code)
    document: dict[str, str | int] = {
        "type": f"urn:sealcast:code:{row.code}",
        "title": row.sentence,
        "status": row.http_status,
        "code": row.code,
        "stage": row.stage,
        "remedy": row.remedy,
    }
    if detail:
        document["detail"] = detail
    if instance is not None:
        document["instance"] = instance
    return document


def page() -> str:
    """The page `docs/codes.md`: the whole table, a section a code, so that each has an anchor."""
    lines = [
        "# Codes",
        "",
        "Everything that can go wrong, or be worth a remark, by stage. The same string stands in",
        "the exception, the metric, the ledger and the problem document. Made from",
        "`sealcast.codes` by `make docs`; a test compares the two.",
    ]
    stages = dict.fromkeys(row.stage for row in CODES.values())
    for stage in stages:
        lines += ["", f"## {stage}"]
        for row in sorted(CODES.values(), key=lambda row: row.code):
            if row.stage == stage:
                answered = f" (HTTP {row.http_status})" if row.http_status != 500 else ""
                lines += ["", f"### {row.code}", "", f"{row.sentence}{answered} {row.remedy}"]
    return "\n".join(lines) + "\n"
