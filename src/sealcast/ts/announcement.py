"""What the two ends of a publisher's connection tell each other, in null packets.

A transport stream has no word for "this goes on where that one ends". Null packets may carry any
bytes and every receiver passes them over (ISO/IEC 13818-1 §2.4.3.3), so a stream with these is as
good as without for whoever does not know them, and one who does not answer is no worse served.

- The publisher begins every connection with one: which run of it this is (`run`, 16 random bytes
  that stay the same for as long as its encoder runs), and whether the connection `BEGINS` a stream
  or `CONTINUES` the one that another connection of the same run still carries.
- The receiver answers `ADMITTED` once: the certificate was judged and the publisher may send. In
  TLS 1.3 the client's handshake is over before the server has looked at its certificate
  (RFC 8446 §4.4.2.4), so without it the publisher could not know.

Does not: prove anything. That is the certificate's; a receiver joins two connections only if both
were proved to be of the same identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sealcast.ts.packet import HEADER, PACKET, null_packet

RUN_BYTES: Final = 16
_MAGIC: Final = b"sealcast publisher 1"
_LENGTH: Final = len(_MAGIC) + 1 + RUN_BYTES


class Word(IntEnum):
    BEGINS = 1
    CONTINUES = 2
    ADMITTED = 3


@dataclass(frozen=True, slots=True)
class Announcement:
    """One word, and the run that it is about."""

    word: Word
    run: bytes

    def packet(self) -> bytes:
        """As a null packet. ValueError if `run` does not have `RUN_BYTES`."""
        if len(self.run) != RUN_BYTES:
            raise ValueError(f"a run is named by {RUN_BYTES} bytes")
        return null_packet(_MAGIC + bytes([self.word]) + self.run)


def read_announcement(packet: bytes) -> Announcement | None:
    """The announcement in a packet; None for every other packet, null packets among them."""
    payload = packet[HEADER : HEADER + _LENGTH]
    told = payload[len(_MAGIC) :]
    if len(packet) != PACKET or packet != null_packet(payload) or payload[: len(_MAGIC)] != _MAGIC:
        return None
    try:
        return Announcement(Word(told[0]), told[1:])
    except ValueError:
        return None
