//! One source of a track: how its own numbers become the track's.
//!
//! Sequence numbers map by ranges, because padding-only probes are consumed and viewers must not
//! see the holes that they would leave; timestamps map by one offset, chosen when the source goes
//! live so that the track's time line goes on. The node time of a timestamp comes from arrival
//! until the publisher's first sender report, then from its NTP clock. It holds no packets.

use crate::clock::ntp_ns;
use crate::codes as code;
use crate::limits;
use crate::ranges::Ranges;
use crate::rtp::{unwrap_timestamp, ExtendedSequence, ExtendedTimestamp};
use crate::spec::SourceId;

/// One point of a time line: this timestamp was captured at this node time.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Anchor {
    /// On the track's (or source's) time line, unwrapped.
    pub timestamp: u64,
    /// Node nanoseconds.
    pub node_ns: u64,
}

impl Anchor {
    /// The timestamp at a node time.
    pub fn timestamp_at(&self, node_ns: u64, clock_rate: u32) -> u64 {
        let passed = i128::from(node_ns) - i128::from(self.node_ns);
        let units = passed * i128::from(clock_rate) / 1_000_000_000;
        self.timestamp.saturating_add_signed(saturate(units))
    }

    /// The node time of a timestamp.
    pub fn node_ns_at(&self, timestamp: u64, clock_rate: u32) -> u64 {
        let units = i128::from(timestamp) - i128::from(self.timestamp);
        let passed = units * 1_000_000_000 / i128::from(clock_rate.max(1));
        self.node_ns.saturating_add_signed(saturate(passed))
    }
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Where a source's packet stands in its own numbering.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Numbered {
    /// Its unwrapped sequence number.
    At(u64),
    /// The numbering restarts with this packet (RFC 3550 appendix A.1: two in a row after a jump).
    Restarted(u64),
    /// A jump that no second packet has confirmed yet.
    Suspect,
}

/// One source.
#[derive(Debug)]
pub struct Source {
    /// The leg or sink.
    pub id: SourceId,
    /// Whether it can be asked for a key frame.
    pub askable: bool,
    /// Whether it should be asked for one now.
    pub key_frame_wanted: bool,
    sequences: ExtendedSequence,
    after_jump: Option<u16>,
    timestamps: ExtendedTimestamp,
    ranges: Ranges<{ limits::SEQUENCE_RANGES }>,
    floor: u64,
    timestamp_offset: i64,
    /// On the track's time line once the source is live.
    anchor: Option<Anchor>,
    reported: bool,
    last_timestamp: u64,
}

impl Source {
    /// A source that has sent nothing yet.
    pub fn new(id: SourceId, askable: bool) -> Source {
        Source {
            id,
            askable,
            key_frame_wanted: false,
            sequences: ExtendedSequence::default(),
            after_jump: None,
            timestamps: ExtendedTimestamp::default(),
            ranges: Ranges::default(),
            floor: 0,
            timestamp_offset: 0,
            anchor: None,
            reported: false,
            last_timestamp: 0,
        }
    }

    /// Unwraps a sequence number without believing a single wild jump.
    pub fn number(&mut self, sequence: u16) -> Numbered {
        let Some(highest) = self.sequences.highest() else {
            return Numbered::At(self.sequences.unwrap(sequence));
        };
        let extended = self.sequences.peek(sequence);
        let jump = extended.wrapping_sub(highest) as i64;
        if jump.abs() <= limits::SEQUENCE_JUMP {
            self.after_jump = None;
            return Numbered::At(extended);
        }
        if self.after_jump == Some(sequence) {
            self.after_jump = None;
            self.sequences = ExtendedSequence::default();
            return Numbered::Restarted(self.sequences.unwrap(sequence));
        }
        self.after_jump = Some(sequence.wrapping_add(1));
        Numbered::Suspect
    }

    /// Unwraps a timestamp.
    pub fn time(&mut self, timestamp: u32) -> u64 {
        self.last_timestamp = self.timestamps.unwrap(timestamp);
        self.last_timestamp
    }

    /// Whether a packet with this number is ahead of all that came before it.
    pub fn is_newest(&self, extended: u64) -> bool {
        self.sequences
            .highest()
            .is_none_or(|highest| extended > highest)
    }

    /// Remembers that a packet with this number came.
    pub fn advance(&mut self, extended: u64) {
        // The low half is the sequence number itself.
        self.sequences.unwrap(extended as u16);
    }

    /// From `extended` on, this source's packets are the track's, which goes on at `sequence`.
    pub fn begin(&mut self, extended: u64, sequence: u64) {
        self.ranges.clear();
        self.ranges
            .begin(extended, sequence.wrapping_sub(extended) as i64);
        self.floor = extended;
    }

    /// Chooses the timestamp offset: `own` is `track` on the track's time line. What a report said
    /// before moves along.
    pub fn align(&mut self, own: u64, track: u64) {
        let before = self.timestamp_offset;
        self.timestamp_offset = track.wrapping_sub(own) as i64;
        if let Some(anchor) = &mut self.anchor {
            let moved = self.timestamp_offset.wrapping_sub(before);
            anchor.timestamp = anchor.timestamp.wrapping_add_signed(moved);
        }
    }

    /// The number `extended` is used up by a probe: what follows moves one down.
    pub fn consume(&mut self, extended: u64) {
        if let Some(offset) = self.ranges.newest() {
            self.ranges.begin(extended + 1, offset - 1);
        }
    }

    /// The track sequence number.
    ///
    /// # Errors
    /// The code of the drop: before the packet that the source went live with; a number that a
    /// probe used up; older than the ranges that are remembered.
    pub fn sequence(&self, extended: u64) -> Result<u64, &'static str> {
        if extended < self.floor {
            return Err(code::AWAITING_KEY_FRAME);
        }
        self.ranges
            .map_kept(extended)
            .ok_or(match self.ranges.map(extended) {
                Some(_) => code::DUPLICATE,
                None => code::TOO_OLD,
            })
    }

    /// The track timestamp.
    pub fn track_timestamp(&self, own: u64) -> u64 {
        own.wrapping_add_signed(self.timestamp_offset)
    }

    /// A timestamp on the track's time line came in at this node time. Until a sender report says
    /// better, the least delayed packet seen is the anchor.
    pub fn arrived(&mut self, timestamp: u64, node_ns: u64, clock_rate: u32) {
        if self.reported {
            return;
        }
        let sooner = |anchor: Anchor| node_ns < anchor.node_ns_at(timestamp, clock_rate);
        if self.anchor.is_none_or(sooner) {
            self.anchor = Some(Anchor { timestamp, node_ns });
        }
    }

    /// The capture time of a timestamp is known exactly.
    pub fn captured(&mut self, timestamp: u64, node_ns: u64) {
        self.reported = true;
        self.anchor = Some(Anchor { timestamp, node_ns });
    }

    /// A sender report (RFC 3550 §6.4.1): `rtp_timestamp` was `ntp`. `leg_offset_ns` turns the
    /// publisher's NTP nanoseconds into node nanoseconds; it is one for all tracks of a publisher,
    /// so they stay in step.
    pub fn reported(&mut self, rtp_timestamp: u32, ntp: u64, leg_offset_ns: i128) {
        if self.sequences.highest().is_none() {
            return; // before the first packet there is no time line to place it on
        }
        let own = unwrap_timestamp(self.last_timestamp, rtp_timestamp);
        let node_ns = u64::try_from(ntp_ns(ntp) + leg_offset_ns).unwrap_or(0);
        let timestamp = self.track_timestamp(own);
        self.captured(timestamp, node_ns);
    }

    /// Where this source's time line stands on the node's.
    pub fn anchor(&self) -> Option<Anchor> {
        self.anchor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_wild_sequence_number_is_not_believed() {
        let mut source = Source::new(1, true);
        assert!(matches!(source.number(100), Numbered::At(_)));
        assert_eq!(source.number(40_000), Numbered::Suspect);
        assert!(matches!(source.number(101), Numbered::At(_)));
    }

    #[test]
    fn two_in_a_row_after_a_jump_restart_the_numbering() {
        let mut source = Source::new(1, true);
        source.number(100);
        assert_eq!(source.number(40_000), Numbered::Suspect);
        assert!(matches!(source.number(40_001), Numbered::Restarted(_)));
        assert!(matches!(source.number(40_002), Numbered::At(_)));
    }

    #[test]
    fn the_least_delayed_packet_anchors_the_clock_until_a_report_does() {
        let mut source = Source::new(1, true);
        source.arrived(90_000, 1_000_000_000, 90_000);
        source.arrived(180_000, 1_900_000_000, 90_000);
        source.arrived(270_000, 3_500_000_000, 90_000);
        let anchor = source.anchor().expect("packets arrived");
        assert_eq!(anchor.node_ns_at(180_000, 90_000), 1_900_000_000);
        source.number(7);
        source.time(270_000);
        source.reported(270_000, 5 << 32, -2_000_000_000);
        let anchor = source.anchor().expect("a report came");
        assert_eq!(anchor.node_ns, 3_000_000_000);
    }
}
