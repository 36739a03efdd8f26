//! A track: one history, the sources that feed it, the key frames in it and its place on the node
//! clock.
//!
//! Packets come in authenticated and opened; they leave the track by being read from its
//! [`History`]. The track gives every packet a sequence number and a timestamp on one line that
//! survives consumed probes, restarts and changes of the source. It knows no viewers, keys or
//! sockets.

mod hold;
mod key_frames;

use std::time::{Duration, Instant};

use crate::codes as code;
use crate::drops::Drops;
use crate::history::{Entry, History};
use crate::limits;
use crate::pacer::RateMeter;
use crate::source::{Anchor, Numbered, Source};
use crate::spec::{Codec, Kind, SourceId, TrackId};
use hold::Hold;
pub use key_frames::KeyFrame;
use key_frames::KeyFrames;

/// The number that a track's first packet gets: room below it for packets that arrive late.
const FIRST_SEQUENCE: u64 = 1 << 32;

/// An opened packet on its way into a track.
#[derive(Copy, Clone, Debug)]
pub struct Incoming<'a> {
    /// Sequence number as sent.
    pub sequence: u16,
    /// Timestamp as sent.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload without padding; empty for a probe.
    pub payload: &'a [u8],
    /// Whether a decoder can start with this packet.
    pub key_start: bool,
    /// When it came in.
    pub entered: Instant,
    /// The same on the node clock.
    pub node_ns: u64,
    /// Node time of capture, if the source knows it.
    pub captured_ns: Option<u64>,
}

/// What became of a packet.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is in the history.
    Entered {
        /// The source went live with it.
        went_live: bool,
    },
    /// It was a probe; its number is used up.
    Consumed,
    /// It was dropped, and counted under this code.
    Dropped(&'static str),
}

/// One track.
#[derive(Debug)]
pub struct Track {
    id: TrackId,
    kind: Kind,
    codec: Codec,
    clock_rate: u32,
    history: History,
    sources: Vec<Source>,
    live: Option<SourceId>,
    last_live: Option<Anchor>,
    next_sequence: u64,
    last_timestamp: u64,
    key_frames: KeyFrames,
    rate: RateMeter,
    hold: Hold,
    /// What was dropped on the way in.
    pub drops: Drops,
    packets: u64,
    bytes: u64,
}

impl Track {
    /// An empty track.
    pub fn new(id: TrackId, kind: Kind, codec: Codec, clock_rate: u32) -> Track {
        let capacity = match kind {
            Kind::Video => limits::VIDEO_HISTORY,
            Kind::Audio => limits::AUDIO_HISTORY,
        };
        Track {
            id,
            kind,
            codec,
            clock_rate,
            history: History::new(capacity),
            sources: Vec::with_capacity(limits::SOURCES),
            live: None,
            last_live: None,
            next_sequence: FIRST_SEQUENCE,
            last_timestamp: 0,
            key_frames: KeyFrames::new(),
            rate: RateMeter::default(),
            hold: Hold::default(),
            drops: Drops::new(),
            packets: 0,
            bytes: 0,
        }
    }

    /// Its id.
    pub fn id(&self) -> TrackId {
        self.id
    }

    /// Picture or sound.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Payload format.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// RTP clock.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// What viewers read.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Arrival number up to which viewers may read the history: a frame's packets are held until the
    /// frame is whole, for [`limits::HOLD`] at the longest.
    pub fn released(&self) -> u64 {
        self.hold.released()
    }

    /// Whether there are packets that [`Track::release`] has not told of.
    pub fn has_news(&self) -> bool {
        self.hold.has_news(self.history.next())
    }

    /// Releases what was held for long enough. Returns whether viewers may read more than at the
    /// call before, and when the rest is due.
    pub fn release(&mut self, now: Instant) -> (bool, Option<Instant>) {
        self.hold.release(now, self.history.next())
    }

    /// The source that feeds it now.
    pub fn live(&self) -> Option<SourceId> {
        self.live
    }

    /// The sequence number after the highest one so far.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Recent bitrate in bits per second.
    pub fn bitrate(&self) -> f64 {
        self.rate.bitrate()
    }

    /// Packets, payload bytes and key frames that entered.
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.packets, self.bytes, self.key_frames.count())
    }

    /// Announces a source; it goes live with its first key frame (video) or first packet (audio).
    /// False if there are too many, or if it is already known.
    pub fn add_source(&mut self, id: SourceId, askable: bool) -> bool {
        if self.sources.len() >= limits::SOURCES
            || self.sources.iter().any(|source| source.id == id)
        {
            return false;
        }
        let mut source = Source::new(id, askable && self.kind == Kind::Video);
        source.key_frame_wanted = source.askable;
        self.sources.push(source);
        true
    }

    /// Forgets a source. True if it was the live one.
    pub fn remove_source(&mut self, id: SourceId) -> bool {
        let anchor = self.source(id).and_then(Source::anchor);
        self.sources.retain(|source| source.id != id);
        if self.live != Some(id) {
            return false;
        }
        self.last_live = anchor;
        self.live = None;
        true
    }

    /// Whether this source was announced and has not gone live.
    pub fn is_pending(&self, id: SourceId) -> bool {
        self.live != Some(id) && self.source(id).is_some()
    }

    /// Whether viewers can ask the live source, or one that waits, for a key frame.
    pub fn is_askable(&self) -> bool {
        match self.live.and_then(|id| self.source(id)) {
            Some(source) => source.askable,
            None => self.sources.iter().any(|source| source.askable),
        }
    }

    /// Takes a packet of `from`, or says why not; a drop is counted here.
    pub fn accept(&mut self, from: SourceId, packet: Incoming<'_>) -> Outcome {
        let outcome = self.enter(from, packet);
        match outcome {
            Outcome::Dropped(code) => self.drops.count(code),
            Outcome::Consumed => self.drops.count(code::PADDING),
            Outcome::Entered { .. } => {}
        }
        outcome
    }

    fn enter(&mut self, from: SourceId, packet: Incoming<'_>) -> Outcome {
        if packet.payload.len() > limits::PAYLOAD_MAX {
            return Outcome::Dropped(code::PAYLOAD_TOO_BIG);
        }
        let Some(mut index) = self.sources.iter().position(|source| source.id == from) else {
            return Outcome::Dropped(code::SUPERSEDED);
        };
        let source = &mut self.sources[index];
        let extended = match source.number(packet.sequence) {
            Numbered::At(extended) => extended,
            Numbered::Restarted(extended) => {
                source.begin(extended, self.next_sequence);
                extended
            }
            Numbered::Suspect => return Outcome::Dropped(code::TOO_OLD),
        };
        let newest = source.is_newest(extended);
        source.advance(extended);
        let own_time = source.time(packet.timestamp);

        let goes_live = self.live != Some(from);
        if goes_live {
            let may_start = match self.kind {
                Kind::Video => packet.key_start,
                Kind::Audio => !packet.payload.is_empty(),
            };
            if !may_start {
                return Outcome::Dropped(code::AWAITING_KEY_FRAME);
            }
            index = self.go_live(index, extended, own_time, &packet);
        }
        let source = &mut self.sources[index];
        if packet.payload.is_empty() && newest {
            source.consume(extended);
            return Outcome::Consumed;
        }
        // A probe that comes late keeps its number, because its successors were already numbered:
        // it goes on as an empty packet, so that viewers see no hole.
        let sequence = match source.sequence(extended) {
            Ok(sequence) => sequence,
            Err(code) => return Outcome::Dropped(code),
        };
        if sequence + self.history.capacity() as u64 <= self.next_sequence {
            return Outcome::Dropped(code::TOO_OLD);
        }
        if self.history.find(sequence).is_some() {
            return Outcome::Dropped(code::DUPLICATE);
        }
        let timestamp = source.track_timestamp(own_time);
        match packet.captured_ns {
            Some(captured_ns) => source.captured(timestamp, captured_ns),
            None => source.arrived(timestamp, packet.node_ns, self.clock_rate),
        }
        let entry = Entry {
            sequence,
            timestamp,
            marker: packet.marker,
            key_start: packet.key_start,
            entered: packet.entered,
            payload: packet.payload,
        };
        let Some(arrival) = self.history.push(entry) else {
            return Outcome::Dropped(code::PAYLOAD_TOO_BIG);
        };
        let is_whole = packet.marker || self.kind == Kind::Audio;
        self.hold.enter(arrival, is_whole, packet.entered);
        let source = &mut self.sources[index];
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.last_timestamp = self.last_timestamp.max(timestamp);
        self.rate.count(packet.entered, packet.payload.len());
        self.packets += 1;
        self.bytes += packet.payload.len() as u64;
        if packet.key_start && self.kind == Kind::Video {
            source.key_frame_wanted = false;
            self.key_frames.note(KeyFrame {
                arrival,
                sequence,
                timestamp,
                entered: packet.entered,
            });
        }
        Outcome::Entered {
            went_live: goes_live,
        }
    }

    /// Makes a source the live one and returns where it stands in the list now.
    fn go_live(
        &mut self,
        index: usize,
        extended: u64,
        own_time: u64,
        packet: &Incoming<'_>,
    ) -> usize {
        let node_ns = packet.captured_ns.unwrap_or(packet.node_ns);
        let before = self
            .live
            .and_then(|id| self.source(id))
            .and_then(Source::anchor)
            .or(self.last_live);
        let first_ever = self.next_sequence == FIRST_SEQUENCE;
        let track_time = match before {
            _ if first_ever => own_time,
            // The time line goes on as the node clock did; never backwards, or decoders drop the
            // pictures.
            Some(anchor) => anchor
                .timestamp_at(node_ns, self.clock_rate)
                .max(self.last_timestamp + 1),
            None => self.last_timestamp + u64::from(self.clock_rate / 30),
        };
        let superseded = self.live;
        let next_sequence = self.next_sequence;
        let source = &mut self.sources[index];
        source.begin(extended, next_sequence);
        source.align(own_time, track_time);
        self.live = Some(source.id);
        self.last_live = None;
        self.key_frames.begin_source();
        let superseded =
            superseded.and_then(|id| self.sources.iter().position(|source| source.id == id));
        match superseded {
            Some(superseded) => {
                self.sources.remove(superseded);
                index - usize::from(superseded < index)
            }
            None => index,
        }
    }

    /// True once per live source, after its first key frame.
    pub fn take_key_frame_announcement(&mut self) -> bool {
        self.live.is_some() && self.key_frames.take_announcement()
    }

    /// The newest key frame that is still wholly in the history.
    pub fn newest_key_frame(&self) -> Option<KeyFrame> {
        self.key_frames.newest(self.history.oldest())
    }

    /// The key frame that a new viewer starts with: the newest, unless it is old and a fresh one
    /// can be had by asking.
    pub fn key_frame_to_start_with(&self, now: Instant) -> Option<KeyFrame> {
        let fresh = |key: &KeyFrame| {
            let age = now.saturating_duration_since(key.entered);
            age <= limits::CACHE_AGE_IF_ASKABLE || !self.is_askable()
        };
        self.newest_key_frame().filter(fresh)
    }

    /// A viewer needs a key frame. Whoever feeds the track, or waits to, is asked once for all
    /// viewers.
    pub fn request_key_frame(&mut self) {
        for source in &mut self.sources {
            source.key_frame_wanted = source.askable;
        }
    }

    /// Hands every wanted key frame to `ask`, which says whether the request could be passed on; if
    /// not, it stays wanted.
    pub fn pass_key_frame_requests(&mut self, mut ask: impl FnMut(SourceId) -> bool) {
        for source in self
            .sources
            .iter_mut()
            .filter(|source| source.key_frame_wanted)
        {
            source.key_frame_wanted = !ask(source.id);
        }
    }

    /// A publisher's sender report.
    pub fn report(&mut self, from: SourceId, rtp_timestamp: u32, ntp: u64, leg_offset_ns: i128) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.id == from) {
            source.reported(rtp_timestamp, ntp, leg_offset_ns);
        }
    }

    /// The track's timestamp at a node time, for sender reports to viewers.
    pub fn timestamp_at(&self, node_ns: u64) -> Option<u64> {
        let anchor = self
            .live
            .and_then(|id| self.source(id))
            .and_then(Source::anchor)
            .or(self.last_live)?;
        Some(anchor.timestamp_at(node_ns, self.clock_rate))
    }

    /// How long ago the last key frame came.
    pub fn key_frame_age(&self, now: Instant) -> Option<Duration> {
        self.key_frames.age(now)
    }

    fn source(&self, id: SourceId) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }
}
