//! The shard's side of a sink: frames become packets of their track, once for all viewers.

use std::time::Instant;

use crate::codes as code;
use crate::drops::Drops;
use crate::limits;
use crate::payload::{h264, opus, PayloadError};
use crate::sink::{SinkFrame, SinkPort};
use crate::spec::{Codec, SourceId, TrackId};
use crate::track::{Incoming, Outcome};

/// Cuts one codec's frames.
#[derive(Debug)]
enum Packetizer {
    H264(h264::Packetizer),
    Opus,
}

/// A sink with its packetizer and numbering.
#[derive(Debug)]
pub(crate) struct Feeder {
    port: SinkPort,
    packetizer: Packetizer,
    sequence: u16,
    scratch: Box<[u8; limits::PAYLOAD_MAX]>,
}

impl Feeder {
    /// None for a codec that no packetizer is for.
    pub fn new(port: SinkPort, codec: Codec) -> Option<Feeder> {
        let packetizer = match codec {
            Codec::H264 => Packetizer::H264(h264::Packetizer::new()),
            Codec::Opus => Packetizer::Opus,
            Codec::H265 | Codec::Vp8 | Codec::Vp9 | Codec::Av1 => return None,
        };
        Some(Feeder {
            port,
            packetizer,
            sequence: 0,
            scratch: Box::new([0; limits::PAYLOAD_MAX]),
        })
    }

    pub fn track(&self) -> TrackId {
        self.port.track
    }

    pub fn source(&self) -> SourceId {
        self.port.source
    }

    pub fn has_more(&self) -> bool {
        !self.port.frames.is_empty()
    }

    /// Closed, and everything that was pushed before has been taken.
    pub fn has_ended(&self) -> bool {
        self.port.state.is_closed() && self.port.frames.is_empty()
    }

    /// Takes some frames and hands their packets to `enter`; frames that are lost are counted.
    pub fn feed(
        &mut self,
        now: Instant,
        node_ns: u64,
        drops: &mut Drops,
        mut enter: impl FnMut(Incoming<'_>) -> Outcome,
    ) {
        drops.add(code::SINK_FULL, self.port.state.take_dropped());
        for _ in 0..limits::SINK_FRAMES_PER_TURN {
            let Ok(frame) = self.port.frames.try_recv() else {
                break;
            };
            if let Err(error) = self.packetize(&frame, now, node_ns, &mut enter) {
                drops.count(error.code());
            }
        }
    }

    fn packetize(
        &mut self,
        frame: &SinkFrame,
        now: Instant,
        node_ns: u64,
        enter: &mut impl FnMut(Incoming<'_>) -> Outcome,
    ) -> Result<(), PayloadError> {
        let Feeder {
            packetizer,
            sequence,
            scratch,
            ..
        } = self;
        let mut is_first = true;
        let mut emit = |payload: &[u8], marker: bool| {
            enter(Incoming {
                sequence: *sequence,
                // Both are unwrapped again by the track's source, which follows them closely.
                timestamp: frame.timestamp as u32,
                marker,
                payload,
                key_start: frame.key && is_first,
                entered: now,
                node_ns,
                captured_ns: Some(frame.node_time_ns),
            });
            *sequence = sequence.wrapping_add(1);
            is_first = false;
        };
        match packetizer {
            Packetizer::H264(packetizer) => packetizer
                .packetize(&frame.data, limits::PAYLOAD_TARGET, |parts, last| {
                    let mut len = 0;
                    for part in parts {
                        // Payloads are cut to PAYLOAD_TARGET, which is below the scratch's
                        // PAYLOAD_MAX.
                        scratch[len..len + part.len()].copy_from_slice(part);
                        len += part.len();
                    }
                    emit(&scratch[..len], last);
                })
                .map(|_| ()),
            Packetizer::Opus => {
                let is_opus = opus::packetize(&frame.data, limits::PAYLOAD_MAX, |payload| {
                    emit(payload, false)
                });
                is_opus.then_some(()).ok_or(PayloadError::Malformed)
            }
        }
    }
}
