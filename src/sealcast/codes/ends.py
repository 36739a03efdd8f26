"""The programs at the other end: who watches, who publishes, and the agent beside them."""

from typing import Final

from sealcast.codes.row import failures

_SIGNALLING: Final = failures(
    "signalling",
    (
        "CLIENT.BAD_ADDRESS",
        "That is not an address of a node or of a stream.",
        "Use the https:// address as the node prints it.",
    ),
    (
        "CLIENT.BAD_ANSWER",
        "The node's answer cannot be used.",
        "Check that the address is a sealcast node's; report it with the detail.",
    ),
    (
        "CLIENT.NODE_UNPROVED",
        "The node's certificate is not trusted here, so nothing was sent to it.",
        "Give the node's CA certificate with --ca, or use the node's proper name.",
    ),
    (
        "CLIENT.UNREACHABLE",
        "The node does not answer.",
        "Check that it is running, and the address and port.",
    ),
)

_MEDIA: Final = failures(
    "media",
    (
        "CLIENT.NO_MEDIA",
        "The leg is sealed, but no media came.",
        "The publisher may have paused; try again.",
    ),
)

_NODE: Final = failures(
    "node",
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
)

ROWS: Final = (*_SIGNALLING, *_MEDIA, *_NODE)
