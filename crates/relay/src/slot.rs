//! A slot: one track on its way to one viewer.
//!
//! A slot holds a cursor over the track's history and the numbers of its own outgoing stream; it
//! holds no packets. It writes headers (SSRC, payload type, sequence, timestamp, this viewer's own
//! extensions) and never the same sequence number twice: a first transmission happens once per
//! packet because the cursor only moves forward, a skipped stretch is closed by a new range that
//! starts above everything sent, and a retransmission has its own SSRC and numbers (RFC 4588). It
//! knows no keys and no sockets.

use std::time::{Duration, Instant};

use crate::history::Packet;
use crate::limits;
use crate::pacer::Pacer;
use crate::ranges::Ranges;
use crate::rtp::{unwrap_sequence, write_packet_header, HeaderFields};
use crate::spec::{Kind, SendSpec};
use crate::track::{KeyFrame, Track};

/// Retransmissions whose time is remembered.
const REMEMBERED: usize = 128;

/// Random starting points of one outgoing stream, drawn by the caller.
#[derive(Copy, Clone, Debug)]
pub struct StreamStart {
    /// First sequence number; its top bit is ignored, so that the rollover counter cannot be
    /// guessed wrongly by a receiver that misses the first packets (RFC 3711 §3.3.1).
    pub sequence: u16,
    /// Offset of the timestamps.
    pub timestamp: u32,
    /// First sequence number of the retransmission stream.
    pub rtx_sequence: u16,
}

#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Phase {
    /// Not started: waits for a key frame (video) or the first packet (audio) from this arrival
    /// number on.
    Waiting { since: u64 },
    /// Walking the history from the cursor.
    Walking { cursor: u64, floor: u64 },
}

/// What the slot wants to do next.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send the packet with this arrival number.
    Send(u64),
    /// Nothing new.
    Idle,
    /// Nothing to show until a key frame comes: the publisher should be asked.
    NeedsKeyFrame,
    /// It fell behind the history and was moved; call again.
    Lagged,
}

/// What was sent on one outgoing stream, as sender reports count it (RFC 3550 §6.4.1).
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub octets: u64,
}

/// What the viewer last said about this stream.
#[derive(Copy, Clone, Debug, Default)]
pub struct ViewerReport {
    /// Loss since its report before, in 1/256.
    pub fraction_lost: u8,
    /// Lost so far.
    pub cumulative_lost: i32,
    /// Jitter in timestamp units.
    pub jitter: u32,
}

/// One track on its way to one viewer.
#[derive(Debug)]
pub struct Slot {
    spec: SendSpec,
    phase: Phase,
    /// Outgoing number to track number.
    ranges: Ranges<8>,
    /// Track number to outgoing number, of the newest range.
    offset: i64,
    highest: u64,
    timestamp_offset: u32,
    rtx_sequence: u16,
    retransmitted: Box<[Option<(u64, Instant)>; REMEMBERED]>,
    retransmit_budget: f64,
    catching_up: bool,
    /// Speed of this slot's pictures.
    pub pacer: Pacer,
    /// Fresh media sent.
    pub sent: Sent,
    /// Retransmissions sent.
    pub resent: Sent,
    /// When the next sender report is due; none before the first packet.
    pub report_due: Option<Instant>,
    /// What the viewer reports.
    pub report: ViewerReport,
}

impl Slot {
    /// A slot that starts with the key frame that the track has, or with the next one.
    pub fn new(spec: SendSpec, start: StreamStart, track: &Track, now: Instant) -> Slot {
        let mut slot = Slot {
            spec,
            phase: Phase::Waiting {
                since: track.history().next(),
            },
            ranges: Ranges::default(),
            offset: 0,
            // One cycle up: room below for the numbers of late packets.
            highest: (1 << 16) + u64::from(start.sequence & 0x7fff),
            timestamp_offset: start.timestamp,
            rtx_sequence: start.rtx_sequence & 0x7fff,
            retransmitted: Box::new([None; REMEMBERED]),
            retransmit_budget: limits::RETRANSMIT_BURST,
            catching_up: false,
            pacer: Pacer::default(),
            sent: Sent::default(),
            resent: Sent::default(),
            report_due: None,
            report: ViewerReport::default(),
        };
        if slot.spec.kind == Kind::Video {
            if let Some(key) = track.key_frame_to_start_with(now) {
                slot.start_with(key);
                slot.catching_up = true;
            }
        }
        slot
    }

    /// What was agreed about it.
    pub fn spec(&self) -> &SendSpec {
        &self.spec
    }

    /// Whether it walks faster than the publisher sends.
    pub fn is_catching_up(&self) -> bool {
        self.catching_up
    }

    /// Whether it waits for a key frame.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Whether the track has released something that this slot has not looked at.
    pub fn has_news(&self, track: &Track) -> bool {
        match self.phase {
            Phase::Waiting { since } => track.released() > since,
            Phase::Walking { cursor, .. } => track.released() > cursor,
        }
    }

    /// Chooses the next packet and moves the cursor past it.
    pub fn step(&mut self, track: &Track) -> Step {
        let history = track.history();
        loop {
            let (cursor, floor) = match self.phase {
                Phase::Walking { cursor, floor } => (cursor, floor),
                Phase::Waiting { since } => {
                    if track.released() <= since {
                        return Step::Idle;
                    }
                    match self.spec.kind {
                        Kind::Video => {
                            match track.newest_key_frame().filter(|key| key.arrival >= since) {
                                Some(key) => self.start_with(key),
                                None => return Step::NeedsKeyFrame,
                            }
                        }
                        Kind::Audio => self.start_at_edge(track, since),
                    }
                    continue;
                }
            };
            if cursor >= track.released() {
                self.catching_up = false;
                return Step::Idle;
            }
            if cursor < history.oldest() {
                self.skip_ahead(track);
                return Step::Lagged;
            }
            self.phase = Phase::Walking {
                cursor: cursor + 1,
                floor,
            };
            match history.get(cursor) {
                // A packet from before the start (or the skip) comes late: its number is not in
                // this viewer's line.
                Some((packet, _)) if packet.sequence >= floor => return Step::Send(cursor),
                _ => {}
            }
        }
    }

    /// Writes the header for a packet and accounts for it; 0 if `out` is too small.
    pub fn write_header(
        &mut self,
        out: &mut [u8],
        packet: &Packet,
        payload_len: usize,
        transport: &mut u16,
    ) -> usize {
        let outgoing = packet.sequence.wrapping_add_signed(self.offset);
        self.highest = self.highest.max(outgoing);
        let fields = HeaderFields {
            marker: packet.marker,
            payload_type: self.spec.payload_type,
            // The low 16 bits are what goes on the wire.
            sequence: outgoing as u16,
            timestamp: (packet.timestamp as u32).wrapping_add(self.timestamp_offset),
            ssrc: self.spec.ssrc,
        };
        let len = write_with_extensions(out, &fields, &self.spec, transport);
        self.sent.packets += 1;
        self.sent.octets += payload_len as u64;
        let earned = payload_len as f64 * limits::RETRANSMIT_SHARE;
        self.retransmit_budget = (self.retransmit_budget + earned).min(limits::RETRANSMIT_BURST);
        len
    }

    /// The track number that the viewer means by an outgoing number, if it was ever sent.
    pub fn asked_for(&self, sequence: u16) -> Option<u64> {
        let outgoing = unwrap_sequence(self.highest, sequence);
        if outgoing > self.highest {
            return None;
        }
        self.ranges.map(outgoing)
    }

    /// Whether a retransmission of this packet is due: not a moment ago, and within the viewer's
    /// share.
    pub fn may_retransmit(
        &mut self,
        track_sequence: u64,
        len: usize,
        round_trip: Option<Duration>,
        now: Instant,
    ) -> Retransmission {
        let pause = round_trip
            .unwrap_or_default()
            .clamp(limits::RETRANSMIT_AGAIN_AFTER, Duration::from_secs(1));
        let remembered = &mut self.retransmitted[(track_sequence % REMEMBERED as u64) as usize];
        if remembered.is_some_and(|(which, at)| which == track_sequence && now < at + pause) {
            return Retransmission::OnItsWay;
        }
        if self.retransmit_budget < len as f64 {
            return Retransmission::Limited;
        }
        self.retransmit_budget -= len as f64;
        *remembered = Some((track_sequence, now));
        Retransmission::Due
    }

    /// Writes the header of a retransmission and the original sequence number behind it (RFC 4588
    /// §4); 0 if this viewer negotiated none or `out` is too small.
    pub fn write_rtx_header(
        &mut self,
        out: &mut [u8],
        packet: &Packet,
        asked: u16,
        payload_len: usize,
        transport: &mut u16,
    ) -> usize {
        let (Some(payload_type), Some(ssrc)) = (self.spec.rtx_payload_type, self.spec.rtx_ssrc)
        else {
            return 0;
        };
        let fields = HeaderFields {
            marker: packet.marker,
            payload_type,
            sequence: self.rtx_sequence,
            timestamp: (packet.timestamp as u32).wrapping_add(self.timestamp_offset),
            ssrc,
        };
        let len = write_with_extensions(out, &fields, &self.spec, transport);
        let Some(original) = out.get_mut(len..len + 2).filter(|_| len > 0) else {
            return 0;
        };
        original.copy_from_slice(&asked.to_be_bytes());
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        self.resent.packets += 1;
        self.resent.octets += payload_len as u64 + 2;
        len + 2
    }

    /// This stream's RTP timestamp for a timestamp of the track.
    pub fn rtp_timestamp(&self, track_timestamp: u64) -> u32 {
        (track_timestamp as u32).wrapping_add(self.timestamp_offset)
    }

    fn start_with(&mut self, key: KeyFrame) {
        self.anchor(key.sequence);
        self.phase = Phase::Walking {
            cursor: key.arrival,
            floor: key.sequence,
        };
    }

    fn start_at_edge(&mut self, track: &Track, since: u64) {
        let cursor = since.max(track.history().oldest());
        let floor = track
            .history()
            .get(cursor)
            .map_or(track.next_sequence(), |(packet, _)| packet.sequence);
        self.anchor(floor);
        self.phase = Phase::Walking { cursor, floor };
    }

    fn skip_ahead(&mut self, track: &Track) {
        match (self.spec.kind, track.newest_key_frame()) {
            (Kind::Video, Some(key)) => {
                self.start_with(key);
                self.catching_up = true;
            }
            (Kind::Video, None) => {
                self.phase = Phase::Waiting {
                    since: track.history().next(),
                }
            }
            // Sound goes on at the edge: what was missed is past.
            (Kind::Audio, _) => {
                self.phase = Phase::Waiting {
                    since: track.history().next(),
                }
            }
        }
    }

    /// The next packet sent is `track_sequence`, and it follows the highest number sent: a new
    /// range above all others.
    fn anchor(&mut self, track_sequence: u64) {
        let next = self.highest + 1;
        self.offset = next.wrapping_sub(track_sequence) as i64;
        self.ranges.begin(next, self.offset.wrapping_neg());
    }
}

/// Whether a packet is sent again.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Retransmission {
    /// Yes.
    Due,
    /// It was sent a moment ago; it cannot have arrived yet.
    OnItsWay,
    /// The viewer's share is used up.
    Limited,
}

fn write_with_extensions(
    out: &mut [u8],
    fields: &HeaderFields,
    spec: &SendSpec,
    transport: &mut u16,
) -> usize {
    let mid = spec.extensions.mid.map(|id| (id, spec.mid.as_bytes()));
    let number = transport.to_be_bytes();
    let twcc = spec.extensions.twcc.map(|id| (id, &number[..]));
    let len = match (mid, twcc) {
        (Some(mid), Some(twcc)) => write_packet_header(out, fields, &[mid, twcc]),
        (Some(one), None) | (None, Some(one)) => write_packet_header(out, fields, &[one]),
        (None, None) => write_packet_header(out, fields, &[]),
    };
    if twcc.is_some() && len > 0 {
        *transport = transport.wrapping_add(1);
    }
    len
}
