//! Frames on their way out: from a track to a recorder or a client, lossy by contract.
//!
//! The shard's end walks the history in the order of sending. It waits a bounded time for a missing
//! packet (a retransmission may bring it), then gives the frame up. A reader that is too slow loses
//! frames; it never slows a viewer. Reading never blocks.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{bounded, Receiver, Sender};

use crate::codes as code;
use crate::error::RelayError;
use crate::limits;
use crate::payload::{Depacketizer, Frame};
use crate::spec::{Codec, Kind, TrackId};
use crate::track::Track;
use crate::wake::Wake;

/// One whole frame.
#[derive(Clone, Debug)]
pub struct TapFrame {
    /// An access unit (H264: Annex B), a VP8 or VP9 frame, or an Opus packet.
    pub data: Vec<u8>,
    /// On the track's clock, unwrapped.
    pub timestamp: u64,
    /// Whether a decoder can start with it.
    pub key: bool,
    /// Something between the frame before and this one is missing.
    pub discontinuity: bool,
    /// What it is.
    pub codec: Codec,
}

/// The reader's end. Dropping it closes it.
#[derive(Debug)]
pub struct FrameTap {
    frames: Receiver<TapFrame>,
    readable: Arc<Wake>,
    closed: Arc<AtomicBool>,
}

impl FrameTap {
    /// All frames that wait.
    pub fn read(&self) -> Vec<TapFrame> {
        self.readable.lower();
        self.frames.try_iter().collect()
    }

    /// Ends it; what waits can still be read.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl AsRawFd for FrameTap {
    /// Readable while frames wait.
    fn as_raw_fd(&self) -> RawFd {
        self.readable.as_raw_fd()
    }
}

impl Drop for FrameTap {
    fn drop(&mut self) {
        self.close();
    }
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct TapPort {
    pub track: TrackId,
    frames: Sender<TapFrame>,
    readable: Arc<Wake>,
    closed: Arc<AtomicBool>,
    walk: Option<Walk>,
}

/// Where a tap stands in its track.
#[derive(Debug)]
struct Walk {
    depacketizer: Depacketizer,
    codec: Codec,
    /// The sequence number wanted next; none until a frame can begin.
    next: Option<u64>,
    /// Since when it is missing though later ones came.
    missing_since: Option<Instant>,
    finished: VecDeque<Frame>,
}

impl TapPort {
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes over what the track has got since the last call. Returns when to call again although
    /// nothing new came.
    pub fn advance(&mut self, track: &mut Track, now: Instant) -> Option<Instant> {
        if self.walk.is_none() {
            self.walk = Some(Walk {
                depacketizer: Depacketizer::new(track.codec())?,
                codec: track.codec(),
                next: None,
                missing_since: None,
                finished: VecDeque::new(),
            });
        }
        let walk = self.walk.as_mut()?;
        let mut gaps = 0;
        let before = walk.depacketizer.counts();
        let again = walk.advance(track, now, &mut gaps);
        let after = walk.depacketizer.counts();
        track
            .drops
            .add(code::PAYLOAD_MALFORMED, after.malformed - before.malformed);
        track
            .drops
            .add(code::PAYLOAD_FRAME_TOO_BIG, after.too_big - before.too_big);
        track.drops.add(code::TAP_GAP, gaps);
        let mut gave = false;
        for frame in walk.finished.drain(..) {
            let Frame {
                data,
                timestamp,
                key,
                discontinuity,
            } = frame;
            let frame = TapFrame {
                data,
                timestamp,
                key,
                discontinuity,
                codec: walk.codec,
            };
            match self.frames.try_send(frame) {
                Ok(()) => gave = true,
                Err(_) => track.drops.count(code::TAP_FULL),
            }
        }
        if gave {
            self.readable.raise();
        }
        again
    }
}

impl Walk {
    fn advance(&mut self, track: &Track, now: Instant, gaps: &mut u64) -> Option<Instant> {
        if self.next.is_none() {
            self.next = match track.kind() {
                Kind::Video => track.newest_key_frame().map(|key| key.sequence),
                Kind::Audio => Some(track.next_sequence()),
            };
        }
        let mut next = self.next?;
        let again = loop {
            if let Some((packet, payload)) = track.history().find(next) {
                self.depacketizer
                    .push(next, packet.timestamp, packet.marker, payload, |frame| {
                        self.finished.push_back(frame);
                    });
                self.missing_since = None;
                next += 1;
                continue;
            }
            if next >= track.next_sequence() {
                break None;
            }
            // Later packets are there and this one is not.
            let since = *self.missing_since.get_or_insert(now);
            let is_gone = next + track.history().capacity() as u64 <= track.next_sequence();
            if now < since + limits::TAP_PATIENCE && !is_gone {
                break Some(since + limits::TAP_PATIENCE);
            }
            *gaps += 1;
            self.missing_since = None;
            next = self.skip(next, track);
        };
        self.next = Some(next);
        again
    }

    /// The next number that is there, at most one history further.
    fn skip(&self, missing: u64, track: &Track) -> u64 {
        let oldest = track
            .next_sequence()
            .saturating_sub(track.history().capacity() as u64);
        let from = (missing + 1).max(oldest);
        (from..track.next_sequence())
            .find(|number| track.history().find(*number).is_some())
            .unwrap_or(track.next_sequence())
    }
}

/// Both ends of a new tap.
///
/// # Errors
/// [`RelayError::StartFailed`] when no descriptor can be had.
pub(crate) fn tap(track: TrackId) -> Result<(FrameTap, TapPort), RelayError> {
    let (sender, frames) = bounded(limits::TAP_FRAMES);
    let readable = Arc::new(Wake::new().map_err(RelayError::StartFailed)?);
    let closed = Arc::new(AtomicBool::new(false));
    let port = TapPort {
        track,
        frames: sender,
        readable: Arc::clone(&readable),
        closed: Arc::clone(&closed),
        walk: None,
    };
    Ok((
        FrameTap {
            frames,
            readable,
            closed,
        },
        port,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Incoming;
    use std::time::Duration;

    fn push(track: &mut Track, sequence: u16, now: Instant) {
        let outcome = track.accept(
            1,
            Incoming {
                sequence,
                timestamp: u32::from(sequence) * 960,
                marker: false,
                payload: &[0xf8, sequence as u8],
                key_start: true,
                entered: now,
                node_ns: 1,
                captured_ns: None,
            },
        );
        assert!(
            matches!(outcome, crate::track::Outcome::Entered { .. }),
            "{outcome:?}"
        );
    }

    #[test]
    fn frames_come_in_the_order_of_sending_and_a_gap_is_given_up_after_a_while() {
        let start = Instant::now();
        let mut track = Track::new(1, Kind::Audio, Codec::Opus, 48_000);
        assert!(track.add_source(1, false));
        let (tap, mut port) = tap(1).expect("the test may open a descriptor");
        assert_eq!(port.advance(&mut track, start), None);
        for sequence in [10, 12, 11, 14] {
            push(&mut track, sequence, start);
        }
        let again = port.advance(&mut track, start);
        assert_eq!(again, Some(start + limits::TAP_PATIENCE));
        let numbers = |tap: &FrameTap| {
            tap.read()
                .iter()
                .map(|frame| frame.data[1])
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&tap), [10, 11, 12]);
        push(&mut track, 15, start);
        assert_eq!(
            port.advance(
                &mut track,
                start + limits::TAP_PATIENCE + Duration::from_millis(1)
            ),
            None
        );
        assert_eq!(numbers(&tap), [14, 15]);
        assert_eq!(track.drops.get(code::TAP_GAP), 1);
    }

    #[test]
    fn a_slow_reader_loses_frames_and_nothing_else() {
        let now = Instant::now();
        let mut track = Track::new(1, Kind::Audio, Codec::Opus, 48_000);
        assert!(track.add_source(1, false));
        let (tap, mut port) = tap(1).expect("the test may open a descriptor");
        port.advance(&mut track, now);
        for sequence in 0..limits::TAP_FRAMES as u16 + 7 {
            push(&mut track, sequence, now);
            port.advance(&mut track, now);
        }
        assert_eq!(track.drops.get(code::TAP_FULL), 7);
        assert_eq!(tap.read().len(), limits::TAP_FRAMES);
        assert!(tap.read().is_empty());
    }
}
