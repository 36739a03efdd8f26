//! Frames on their way in: from a demuxer's thread into the shard, bounded, never blocking.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use crossbeam_channel::{bounded, Receiver, Sender, TrySendError};

use crate::error::RelayError;
use crate::limits;
use crate::spec::{SourceId, TrackId};
use crate::wake::Wake;

/// One frame as the demuxer gives it.
#[derive(Debug)]
pub(crate) struct SinkFrame {
    pub data: Vec<u8>,
    pub timestamp: u64,
    pub node_time_ns: u64,
    pub key: bool,
}

#[derive(Debug, Default)]
pub(crate) struct SinkState {
    closed: AtomicBool,
    dropped: AtomicU64,
}

impl SinkState {
    /// Frames dropped because the queue was full, since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The demuxer's end. Dropping it closes it.
#[derive(Debug)]
pub struct FrameSink {
    frames: Sender<SinkFrame>,
    state: Arc<SinkState>,
    shard: Arc<Wake>,
}

impl FrameSink {
    /// Hands one frame over: an access unit (H264, H265: Annex B; VP8, VP9, AV1: a temporal unit)
    /// or an Opus packet.
    ///
    /// `timestamp` counts the track's clock and is unwrapped; `node_time_ns` is the capture time on
    /// `CLOCK_MONOTONIC`. A key frame carries its parameter sets.
    ///
    /// # Errors
    /// [`RelayError::SinkFull`] when the shard does not keep up (the frame is dropped and counted),
    /// [`RelayError::FrameTooBig`], [`RelayError::NoTrack`] when the track has been removed.
    pub fn push(
        &self,
        data: &[u8],
        timestamp: u64,
        node_time_ns: u64,
        key: bool,
    ) -> Result<(), RelayError> {
        if data.is_empty() || data.len() > limits::FRAME_BYTES {
            return Err(RelayError::FrameTooBig(data.len()));
        }
        if self.state.is_closed() {
            return Err(RelayError::NoTrack);
        }
        let frame = SinkFrame {
            data: data.to_vec(),
            timestamp,
            node_time_ns,
            key,
        };
        match self.frames.try_send(frame) {
            Ok(()) => {
                self.shard.raise();
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                self.state.dropped.fetch_add(1, Ordering::Relaxed);
                Err(RelayError::SinkFull)
            }
            Err(TrySendError::Disconnected(_)) => Err(RelayError::NoTrack),
        }
    }

    /// Ends the source; frames already pushed are still sent.
    pub fn close(&self) {
        if !self.state.closed.swap(true, Ordering::AcqRel) {
            self.shard.raise();
        }
    }
}

impl Drop for FrameSink {
    fn drop(&mut self) {
        self.close();
    }
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct SinkPort {
    pub track: TrackId,
    pub source: SourceId,
    pub frames: Receiver<SinkFrame>,
    pub state: Arc<SinkState>,
}

/// Both ends of a new sink.
pub(crate) fn sink(track: TrackId, source: SourceId, shard: Arc<Wake>) -> (FrameSink, SinkPort) {
    let (sender, frames) = bounded(limits::SINK_FRAMES);
    let state = Arc::new(SinkState::default());
    let port = SinkPort {
        track,
        source,
        frames,
        state: Arc::clone(&state),
    };
    (
        FrameSink {
            frames: sender,
            state,
            shard,
        },
        port,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sink_drops_the_frame_counts_it_and_does_not_block() {
        let wake = Arc::new(Wake::new().expect("the test may open a descriptor"));
        let (sink, port) = sink(1, 2, wake);
        for _ in 0..limits::SINK_FRAMES {
            sink.push(b"frame", 0, 0, true).expect("there is room");
        }
        let refused = sink.push(b"frame", 0, 0, true).expect_err("it is full");
        assert_eq!(refused.code(), "RELAY.SINK_FULL");
        assert_eq!(port.state.take_dropped(), 1);
        assert_eq!(port.state.take_dropped(), 0);
    }

    #[test]
    fn a_frame_for_a_removed_track_is_refused() {
        let wake = Arc::new(Wake::new().expect("the test may open a descriptor"));
        let (sink, port) = sink(1, 2, wake);
        drop(port);
        assert_eq!(
            sink.push(b"frame", 0, 0, true)
                .expect_err("nobody listens")
                .code(),
            "RELAY.NO_TRACK"
        );
        assert_eq!(
            sink.push(b"", 0, 0, true)
                .expect_err("an empty frame")
                .code(),
            "RELAY.FRAME_TOO_BIG"
        );
    }
}
