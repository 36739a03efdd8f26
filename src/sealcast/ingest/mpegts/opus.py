"""Audio on its way to Opus, once per stream and not once per viewer.

Does: takes audio packets of a transport stream, hands Opus of one or two channels through
untouched, decodes everything else that FFmpeg knows of AAC and MPEG audio and encodes it as Opus:
48 kHz, stereo, 20 ms, what WebRTC plays everywhere.

Does not: keep time. `sealcast.ingest.mpegts.clock.SampleClock` counts.

Specs: RFC 6716 §3.1 (table of contents byte), RFC 7587 (RTP payload).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.packet import Packet

RATE: Final = 48_000
PACKET_SAMPLES: Final = RATE // 50
BIT_RATE: Final = 128_000
TRANSCODED: Final = frozenset({"aac", "aac_latm", "mp1", "mp2", "mp3"})
"""FFmpeg's names of what is decoded and encoded again."""
MAX_PACKET_SAMPLES: Final = RATE * 120 // 1000
"""RFC 6716 §3.2.5: a packet holds at most 120 ms."""

# RFC 6716 §3.1, table 2: configuration number to frame size, in samples at 48 kHz.
_SILK: Final = (480, 960, 1920, 2880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)


def opus_samples(packet: bytes) -> int | None:
    """How many samples (at 48 kHz) an Opus packet holds; None when it is not one."""
    if not packet:
        return None
    toc = packet[0]
    configuration, frames_code = toc >> 3, toc & 3
    if configuration < 12:
        frame = _SILK[configuration % 4]
    elif configuration < 16:
        frame = _HYBRID[configuration % 2]
    else:
        frame = _CELT[configuration % 4]
    if frames_code == 3:
        if len(packet) < 2:
            return None
        frames = packet[1] & 0x3F
    else:
        frames = 1 if frames_code == 0 else 2
    samples = frames * frame
    return samples if 0 < samples <= MAX_PACKET_SAMPLES else None


class OpusPassThrough:
    """Opus that is already what viewers take."""

    pending_samples = 0
    encoder_delay_samples = 0

    def convert(self, packet: Packet[Any]) -> Iterator[tuple[bytes, int]]:
        """The packet and its number of samples; nothing when it is malformed."""
        data = bytes(packet)
        samples = opus_samples(data)
        if samples is not None:
            yield data, samples


class OpusTranscoder:
    """Decodes one audio track and encodes it as Opus. Raises `av.error.FFmpegError` per packet."""

    def __init__(self, decoder: AudioCodecContext) -> None:
        from av import AudioFifo, AudioResampler
        from av.codec.context import CodecContext

        self._decoder = decoder
        self._resampler = AudioResampler(format="s16", layout="stereo", rate=RATE)
        self._fifo = AudioFifo()
        encoder = CodecContext.create("libopus", "w")
        encoder.sample_rate = RATE
        encoder.layout = "stereo"
        encoder.format = "s16"
        encoder.bit_rate = BIT_RATE
        # In-band FEC is for speech modes only; loss here is answered by concealment.
        encoder.options = {"frame_duration": "20", "application": "audio", "vbr": "constrained"}
        encoder.open()
        self._encoder = encoder
        self.encoder_delay_samples = 312
        """What libopus looks ahead in `audio` mode at 48 kHz: its output is this much late."""

    @property
    def pending_samples(self) -> int:
        """Samples that wait for a packet to be full."""
        return int(self._fifo.samples)

    def convert(self, packet: Packet[Any]) -> Iterator[tuple[bytes, int]]:
        """The Opus packets that this packet completes, each with its number of samples."""
        for decoded in self._decoder.decode(packet):
            for frame in self._resampler.resample(decoded):
                # The fifo would compare timestamps of its own; SampleClock keeps them here.
                frame.pts = None
                self._fifo.write(frame)
        while self._fifo.samples >= PACKET_SAMPLES:
            whole = self._fifo.read(PACKET_SAMPLES)
            if whole is None:
                return
            whole.pts = None
            for encoded in self._encoder.encode(whole):
                yield bytes(encoded), PACKET_SAMPLES
