"""Media itself: transport streams, RTP and RTCP, payload formats."""

from typing import Final

from sealcast.codes.row import answers, failures

_IDENTITY: Final = failures(
    "identity",
    (
        "TS.UNKNOWN_IDENTITY",
        "The certificate's name is not in the table of encoders and streams.",
        "Issue it one called encoder/NAME, or add its name to [ingest.ts.streams] in the file.",
    ),
)

# Of an encoder; an upload is answered with them.
_MEDIA_ANSWERS: Final = answers(
    "media",
    (
        400,
        "TS.GARBAGE",
        "What the encoder sends is not an MPEG transport stream.",
        "Send MPEG-TS (ffmpeg: -f mpegts) to this door.",
    ),
    (
        400,
        "TS.GONE",
        "The encoder ended its connection before anything of its stream was read.",
        "Keep the connection open while it sends; the encoder's own log says why it left.",
    ),
    (
        400,
        "TS.NO_VIDEO",
        "The transport stream has no video and no audio that could be carried.",
        "Add an H264 video stream.",
    ),
    (
        400,
        "TS.TRUNCATED",
        "The transport stream ended in the middle.",
        "The encoder or its network stopped; it can publish again.",
    ),
)

_MEDIA: Final = failures(
    "media",
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
)

ROWS: Final = (*_IDENTITY, *_MEDIA_ANSWERS, *_MEDIA)
