//! A track's history: one preallocated ring of plain payloads, shared by all viewers of the track.
//!
//! A packet is copied in once, at the next *arrival number*; every viewer's cursor counts arrival
//! numbers, so there is no queue per viewer. Retransmissions find a packet by its track sequence
//! number. It knows nothing about keys, viewers or time.

use std::time::Instant;

use crate::limits;

/// What the history knows about one packet beside its payload.
#[derive(Copy, Clone, Debug)]
pub struct Packet {
    /// Its number in the order of arrival.
    pub arrival: u64,
    /// Its number in the order of sending, continuous across sources and consumed probes.
    pub sequence: u64,
    /// Timestamp on the track's time line, unwrapped.
    pub timestamp: u64,
    /// The last packet of a frame (video) or the first after silence (audio).
    pub marker: bool,
    /// The first packet of a key frame.
    pub key_start: bool,
    /// When it entered.
    pub entered: Instant,
    len: u16,
}

/// What a packet brings with it.
#[derive(Copy, Clone, Debug)]
pub struct Entry<'a> {
    /// See [`Packet::sequence`].
    pub sequence: u64,
    /// See [`Packet::timestamp`].
    pub timestamp: u64,
    /// See [`Packet::marker`].
    pub marker: bool,
    /// See [`Packet::key_start`].
    pub key_start: bool,
    /// See [`Packet::entered`].
    pub entered: Instant,
    /// At most [`limits::PAYLOAD_MAX`] bytes.
    pub payload: &'a [u8],
}

/// The ring.
#[derive(Debug)]
pub struct History {
    /// Zeroed pages are taken from the system only when they are first written.
    payloads: Box<[u8]>,
    packets: Box<[Option<Packet>]>,
    /// Arrival number of the packet with sequence number `n`, at `n % capacity`.
    by_sequence: Box<[u64]>,
    next: u64,
}

impl History {
    /// An empty ring for `capacity` packets.
    pub fn new(capacity: usize) -> History {
        History {
            payloads: vec![0; capacity * limits::PAYLOAD_MAX].into_boxed_slice(),
            packets: vec![None; capacity].into_boxed_slice(),
            by_sequence: vec![u64::MAX; capacity].into_boxed_slice(),
            next: 0,
        }
    }

    /// How many packets it holds.
    pub fn capacity(&self) -> usize {
        self.packets.len()
    }

    /// The arrival number that the next packet gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The arrival number of the oldest packet that is still there.
    pub fn oldest(&self) -> u64 {
        self.next.saturating_sub(self.packets.len() as u64)
    }

    /// Copies a packet in and returns its arrival number; none if its payload is too long.
    pub fn push(&mut self, entry: Entry<'_>) -> Option<u64> {
        let len = entry.payload.len();
        if len > limits::PAYLOAD_MAX {
            return None;
        }
        let arrival = self.next;
        let slot = self.slot(arrival);
        let start = slot * limits::PAYLOAD_MAX;
        self.payloads[start..start + len].copy_from_slice(entry.payload);
        self.packets[slot] = Some(Packet {
            arrival,
            sequence: entry.sequence,
            timestamp: entry.timestamp,
            marker: entry.marker,
            key_start: entry.key_start,
            entered: entry.entered,
            len: len as u16, // at most PAYLOAD_MAX: checked above
        });
        let by_sequence = self.slot(entry.sequence);
        self.by_sequence[by_sequence] = arrival;
        self.next += 1;
        Some(arrival)
    }

    /// The packet with this arrival number and its payload, if it is still there.
    pub fn get(&self, arrival: u64) -> Option<(&Packet, &[u8])> {
        let slot = self.slot(arrival);
        let packet = self.packets[slot]
            .as_ref()
            .filter(|packet| packet.arrival == arrival)?;
        let start = slot * limits::PAYLOAD_MAX;
        Some((
            packet,
            &self.payloads[start..start + usize::from(packet.len)],
        ))
    }

    /// The packet with this sequence number, if it is still there.
    pub fn find(&self, sequence: u64) -> Option<(&Packet, &[u8])> {
        let arrival = self.by_sequence[self.slot(sequence)];
        self.get(arrival)
            .filter(|(packet, _)| packet.sequence == sequence)
    }

    fn slot(&self, number: u64) -> usize {
        // The remainder is below the length of a slice, which is a usize.
        (number % self.packets.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, payload: &[u8]) -> Entry<'_> {
        Entry {
            sequence,
            timestamp: sequence * 3_000,
            marker: false,
            key_start: false,
            entered: Instant::now(),
            payload,
        }
    }

    #[test]
    fn a_packet_is_found_by_arrival_and_by_sequence_until_it_is_overwritten() {
        let mut history = History::new(4);
        for sequence in [10, 12, 11, 13] {
            history
                .push(entry(sequence, &[sequence as u8]))
                .expect("the payload is short");
        }
        assert_eq!(history.get(1).map(|(packet, _)| packet.sequence), Some(12));
        assert_eq!(
            history
                .find(11)
                .map(|(packet, payload)| (packet.arrival, payload)),
            Some((2, &[11][..]))
        );
        history
            .push(entry(14, b"new"))
            .expect("the payload is short");
        assert!(history.get(0).is_none());
        assert!(history.find(10).is_none());
        assert_eq!(history.oldest(), 1);
    }

    #[test]
    fn a_payload_that_is_too_long_is_refused_and_changes_nothing() {
        let mut history = History::new(4);
        assert!(history
            .push(entry(1, &[0; limits::PAYLOAD_MAX + 1]))
            .is_none());
        assert_eq!(history.next(), 0);
    }
}
