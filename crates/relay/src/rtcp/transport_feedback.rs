//! Transport-wide congestion control feedback, both ways
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
//!
//! Times are in ticks of 250 µs; a reference time is 256 of them (64 ms).

/// Ticks of 250 µs in one unit of the reference time.
pub const TICKS_PER_REFERENCE: i64 = 256;

/// Base sequence number, status count, reference time and feedback count.
const HEAD_LEN: usize = 8;
/// Most packets one written message covers; it bounds the writer's stack.
const MAX_STATUSES: usize = 2048;
/// Longest run that a run-length chunk can say (13 bits).
const MAX_RUN: usize = 0x1FFF;

const NOT_RECEIVED: u8 = 0;
const SMALL_DELTA: u8 = 1;
const LARGE_DELTA: u8 = 2;

/// One feedback message, checked: its chunks cover its packets and its deltas are all there.
#[derive(Clone, Debug)]
pub struct TransportFeedback<'a> {
    /// Number of the first packet.
    pub base_sequence: u16,
    /// How many packets it speaks of.
    pub status_count: u16,
    /// Reference time in units of 64 ms, signed 24 bits.
    pub reference_time: i32,
    /// Number of this message; a gap means lost feedback.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// Reads the feedback control information; `None` if it contradicts itself.
    pub(super) fn parse(control: &'a [u8]) -> Option<Self> {
        let (head, rest) = control.split_first_chunk::<HEAD_LEN>()?;
        let status_count = u16::from_be_bytes([head[2], head[3]]);
        let mut statuses = Chunks {
            chunks: rest,
            chunk: Chunk::Run { status: 0, left: 0 },
        };
        let mut delta_len = 0;
        for _ in 0..status_count {
            delta_len += delta_len_of(statuses.next()?);
        }
        let chunk_len = rest.len() - statuses.chunks.len();
        let (chunks, deltas) = rest.split_at(chunk_len);
        Some(TransportFeedback {
            base_sequence: u16::from_be_bytes([head[0], head[1]]),
            status_count,
            reference_time: i32::from_be_bytes([head[4], head[5], head[6], 0]) >> 8,
            feedback_count: head[7],
            chunks,
            deltas: deltas.get(..delta_len)?,
        })
    }

    /// `(sequence number, ticks since the packet received before it)` for each packet; the first
    /// received counts from the reference time, `None` is a packet not received.
    pub fn packets(&self) -> TransportStatuses<'a> {
        TransportStatuses {
            sequence: self.base_sequence,
            left: self.status_count,
            statuses: Chunks {
                chunks: self.chunks,
                chunk: Chunk::Run { status: 0, left: 0 },
            },
            deltas: self.deltas,
        }
    }
}

const fn delta_len_of(status: u8) -> usize {
    match status {
        SMALL_DELTA => 1,
        LARGE_DELTA => 2,
        _ => 0,
    }
}

/// Iterator over the packets of a [`TransportFeedback`].
#[derive(Clone, Debug)]
pub struct TransportStatuses<'a> {
    sequence: u16,
    left: u16,
    statuses: Chunks<'a>,
    deltas: &'a [u8],
}

impl Iterator for TransportStatuses<'_> {
    type Item = (u16, Option<i16>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let delta = match self.statuses.next()? {
            SMALL_DELTA => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i16::from(delta))
            }
            LARGE_DELTA => {
                let (delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i16::from_be_bytes(*delta))
            }
            // 3 is reserved: without a delta it can only be read as not received.
            _ => None,
        };
        Some((sequence, delta))
    }
}

/// Endless-until-exhausted walk over packet status chunks (§3.1.3, §3.1.4).
#[derive(Clone, Debug)]
struct Chunks<'a> {
    chunks: &'a [u8],
    chunk: Chunk,
}

#[derive(Clone, Debug)]
enum Chunk {
    Run {
        status: u8,
        left: u16,
    },
    /// The statuses left stand at the top of `bits`.
    Vector {
        bits: u16,
        status_bits: u8,
        left: u8,
    },
}

impl Iterator for Chunks<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            match &mut self.chunk {
                Chunk::Run {
                    status,
                    left: left @ 1..,
                } => {
                    *left -= 1;
                    return Some(*status);
                }
                Chunk::Vector {
                    bits,
                    status_bits,
                    left: left @ 1..,
                } => {
                    *left -= 1;
                    let status = (*bits >> (16 - *status_bits)) as u8;
                    *bits <<= *status_bits;
                    return Some(status);
                }
                _ => {}
            }
            let (chunk, rest) = self.chunks.split_first_chunk::<2>()?;
            self.chunks = rest;
            let chunk = u16::from_be_bytes(*chunk);
            self.chunk = match chunk >> 14 {
                0b10 => Chunk::Vector {
                    bits: chunk << 2,
                    status_bits: 1,
                    left: 14,
                },
                0b11 => Chunk::Vector {
                    bits: chunk << 2,
                    status_bits: 2,
                    left: 7,
                },
                _ => Chunk::Run {
                    status: (chunk >> 13 & 0b11) as u8,
                    left: chunk & 0x1FFF,
                },
            };
        }
    }
}

/// What [`write`] did.
pub(super) struct Written {
    /// Bytes written, a multiple of four.
    pub len: usize,
    /// Packets covered; the caller goes on with the one after.
    pub covered: usize,
}

/// Writes feedback control information for the packets from `base_sequence` on, whose arrivals
/// in ticks are `arrivals`. Stops early where the room, the stack or a delta's 16 bits end.
/// `None` if no received packet could be told of.
pub(super) fn write(
    out: &mut [u8],
    feedback_count: u8,
    base_sequence: u16,
    arrivals: impl Iterator<Item = Option<i64>>,
) -> Option<Written> {
    let mut statuses = [NOT_RECEIVED; MAX_STATUSES];
    let mut deltas = [0_u8; 2 * MAX_STATUSES];
    let (mut count, mut covered, mut delta_len) = (0, 0, 0);
    let mut reference = None;
    let mut previous = 0;
    for arrival in arrivals.take(MAX_STATUSES) {
        let mut status = NOT_RECEIVED;
        let mut delta = 0;
        if let Some(ticks) = arrival {
            let reference = *reference.get_or_insert_with(|| ticks.div_euclid(TICKS_PER_REFERENCE));
            if covered == 0 {
                previous = reference * TICKS_PER_REFERENCE;
            }
            let Ok(step) = i16::try_from(ticks - previous) else {
                break;
            };
            previous = ticks;
            delta = step;
            status = if (0..=255).contains(&step) {
                SMALL_DELTA
            } else {
                LARGE_DELTA
            };
        }
        // Every chunk but the last covers at least seven packets: see `write_chunks`.
        let chunk_len = 2 * (count + 1_usize).div_ceil(7);
        let len = HEAD_LEN + chunk_len + delta_len + delta_len_of(status);
        if len.next_multiple_of(4) > out.len() {
            break;
        }
        match status {
            SMALL_DELTA => deltas[delta_len] = delta as u8, // 0..=255: checked above
            LARGE_DELTA => deltas[delta_len..delta_len + 2].copy_from_slice(&delta.to_be_bytes()),
            _ => {}
        }
        delta_len += delta_len_of(status);
        statuses[count] = status;
        count += 1;
        if status != NOT_RECEIVED {
            covered = count; // trailing losses may still arrive: they wait for the next message
        }
    }
    let reference = reference?;
    let statuses = &statuses[..covered];
    if covered == 0 {
        return None;
    }

    out[..2].copy_from_slice(&base_sequence.to_be_bytes());
    out[2..4].copy_from_slice(&(covered as u16).to_be_bytes()); // at most MAX_STATUSES
    out[4..7].copy_from_slice(&(reference as u32).to_be_bytes()[1..]); // 24 bits, wrapping
    out[7] = feedback_count;
    let deltas_at = HEAD_LEN + write_chunks(&mut out[HEAD_LEN..], statuses);
    let end = deltas_at + delta_len;
    out[deltas_at..end].copy_from_slice(&deltas[..delta_len]);
    let len = end.next_multiple_of(4);
    out[end..len].fill(0);
    Some(Written { len, covered })
}

/// Greedy chunking: runs of seven or more as a run, else 14 one-bit or 7 two-bit statuses. So
/// each chunk but the last covers at least seven statuses. Returns bytes written.
fn write_chunks(out: &mut [u8], mut statuses: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&first) = statuses.first() {
        let run = statuses
            .iter()
            .take(MAX_RUN)
            .take_while(|&&status| status == first)
            .count();
        let narrow = statuses
            .iter()
            .take(14)
            .take_while(|&&status| status <= SMALL_DELTA)
            .count();
        let (chunk, taken) = if run >= 14 || run == statuses.len() || (run >= 7 && narrow < 14) {
            (u16::from(first) << 13 | run as u16, run)
        } else if narrow == statuses.len().min(14) {
            let taken = narrow;
            let bits = statuses[..taken]
                .iter()
                .enumerate()
                .fold(0, |bits, (index, &status)| {
                    bits | u16::from(status) << (13 - index)
                });
            (0x8000 | bits, taken)
        } else {
            let taken = statuses.len().min(7);
            let bits = statuses[..taken]
                .iter()
                .enumerate()
                .fold(0, |bits, (index, &status)| {
                    bits | u16::from(status) << (12 - 2 * index)
                });
            (0xC000 | bits, taken)
        };
        out[at..at + 2].copy_from_slice(&chunk.to_be_bytes());
        at += 2;
        statuses = &statuses[taken..];
    }
    at
}
