"""Publishing MPEG-TS over mutual TLS in which the certificate may change and the stream does not.

Does: reads a transport stream (of an ffmpeg that it starts, or of a pipe), owns the TLS connection
to the node, and goes over to a new one when the certificate's files change: make before break. A
node that is gone is asked again and again; what it missed is left out up to a key frame and
counted.

`connection` is one connection, `identity` the files, `input` where the
stream comes from, `publishing` what is done when.

Does not: encode, read media, or renew certificates; whoever does that (`sealcast agent`) writes the
files.
"""

from sealcast.client.publish.connection import Address
from sealcast.client.publish.identity import IdentityFiles
from sealcast.client.publish.input import FfmpegInput, PipeInput, StreamInput
from sealcast.client.publish.publishing import Counts, Publishing

__all__ = [
    "Address",
    "Counts",
    "FfmpegInput",
    "IdentityFiles",
    "PipeInput",
    "Publishing",
    "StreamInput",
]
