"""A test picture whose clock a machine can read, and a tone that it can hear.

Does: writes FFmpeg's arguments for a moving picture with a running clock, a strip of cells along
its lower edge that counts frames in binary, and a tone of another frequency in each ear; reads the
count back out of a decoded picture and the tones out of decoded samples.

No font is needed: `testsrc2` draws its clock with digits of its own, and the strip is boxes. A
strip and not the clock's digits, because a number read from 24-pixel cells survives any encoder,
and a parity cell tells a misread one.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final

WIDTH: Final = 960
HEIGHT: Final = 540
RATE: Final = 30
CELL: Final = 24
BITS: Final = 16
SYNC: Final = (1, 0, 1)
"""The strip's first cells: a picture without them has no strip."""
CELLS: Final = len(SYNC) + BITS + 1
TOP: Final = HEIGHT - CELL
TONES_HZ: Final = (440, 1000)
"""Left and right."""
SAMPLE_RATE: Final = 48_000
_BRIGHT: Final = 128


def picture_source() -> str:
    """The picture as an FFmpeg filter graph for `-f lavfi`."""
    boxes = [_box(0, CELLS, "black")]
    boxes += [_box(index, 1, "white") for index, lit in enumerate(SYNC) if lit]
    odd = []
    for bit in range(BITS):
        # \, is a comma inside an expression; n counts frames.
        lit = rf"mod(floor(n/{1 << bit})\,2)"
        boxes.append(_box(len(SYNC) + bit, 1, "white", lit))
        odd.append(lit)
    boxes.append(_box(CELLS - 1, 1, "white", rf"mod({'+'.join(odd)}\,2)"))
    return f"testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}," + ",".join(boxes)


def _box(cell: int, width: int, colour: str, enable: str | None = None) -> str:
    shape = f"drawbox=x={cell * CELL}:y={TOP}:w={width * CELL}:h={CELL}:color={colour}:t=fill"
    return shape if enable is None else f"{shape}:enable='{enable}'"


def tone_source() -> str:
    """The tones as an FFmpeg filter graph for `-f lavfi`."""
    left, right = (f"sine=frequency={hz}:sample_rate={SAMPLE_RATE}" for hz in TONES_HZ)
    return f"{left}[l];{right}[r];[l][r]join=inputs=2:channel_layout=stereo,volume=-12dB"


def read_count(luma: memoryview, line_size: int) -> int | None:
    """The frame count in a picture's luma plane (`WIDTH` by `HEIGHT`); None if it has no strip."""
    row = (TOP + CELL // 2) * line_size
    cells = [luma[row + cell * CELL + CELL // 2] >= _BRIGHT for cell in range(CELLS)]
    sync, bits, parity = cells[: len(SYNC)], cells[len(SYNC) : -1], cells[-1]
    if tuple(map(int, sync)) != SYNC or sum(bits) % 2 != parity:
        return None
    return sum(1 << index for index, lit in enumerate(bits) if lit)


def tone_share(samples: Sequence[float], hz: float, rate: int = SAMPLE_RATE) -> float:
    """The share of the samples' energy that is at `hz`, 0 to 1 (Goertzel's algorithm)."""
    energy = sum(sample * sample for sample in samples)
    if energy == 0:
        return 0.0
    turn = 2 * math.cos(2 * math.pi * hz / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + turn * last - before
    power = last * last + before * before - turn * last * before
    return 2 * power / (len(samples) * energy)


def samples_of(frame: Any) -> Iterator[list[float]]:
    """The samples of each channel of a decoded `av.AudioFrame` in 32-bit floats or 16-bit."""
    kind = {"flt": "f", "fltp": "f", "s16": "h", "s16p": "h"}[frame.format.name]
    channels = frame.layout.nb_channels
    planar = frame.format.is_planar
    for plane in frame.planes:
        samples = array(kind)
        count = frame.samples * (1 if planar else channels)
        samples.frombytes(memoryview(plane).cast("B")[: count * samples.itemsize])
        if planar:
            yield list(samples)
        else:
            for channel in range(channels):
                yield list(samples[channel::channels])
