"""How much of a description is read. One table; a real browser's offer stays far below each."""

from typing import Final

BYTES: Final = 64 * 1024
FRAGMENT_BYTES: Final = 16 * 1024
LINES: Final = 4096
LINE_CHARACTERS: Final = 4096
SECTIONS: Final = 32
FORMATS: Final = 128
# Remote candidates that are kept; the rest of a list is ignored.
CANDIDATES: Final = 16
# Sources of one section that the relay is told of; more would be learnt from packets.
SOURCES: Final = 8
