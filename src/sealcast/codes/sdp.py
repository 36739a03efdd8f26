"""What an offer or answer may be refused for."""

from typing import Final

from sealcast.codes.row import answers

ROWS: Final = answers(
    "signalling",
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
)
