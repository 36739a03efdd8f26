//! Reading a compound: framing first, then one item at a time.

use super::packet_type::{
    BYE, FMT_APPLICATION, FMT_FIR, FMT_NACK, FMT_PLI, FMT_TRANSPORT_WIDE, PAYLOAD_FEEDBACK,
    RECEIVER_REPORT, SENDER_REPORT, TRANSPORT_FEEDBACK,
};
use super::transport_feedback::TransportFeedback;
use super::REPORT_BLOCK_LEN;

/// The code under which [`RtcpItem::Malformed`] is counted.
pub const MALFORMED: &str = crate::drops::code::BAD_RTCP;

/// One statement of a compound packet.
#[derive(Clone, Debug)]
pub enum RtcpItem<'a> {
    /// What a sender says about its own stream (RFC 3550 §6.4.1).
    SenderReport {
        /// The stream.
        ssrc: u32,
        /// Wall clock of the report, 32.32 fixed point seconds since 1900.
        ntp: u64,
        /// The same instant in the stream's RTP clock.
        rtp_timestamp: u32,
        /// Packets sent so far.
        packets: u32,
        /// Payload bytes sent so far.
        octets: u32,
    },
    /// What a receiver says about a stream it gets (RFC 3550 §6.4.1).
    ReportBlock {
        /// Who reports.
        reporter: u32,
        /// Whose stream it is about.
        about_ssrc: u32,
        /// Loss since the last report, in 1/256.
        fraction_lost: u8,
        /// Packets lost so far; negative if duplicates outnumber losses.
        cumulative_lost: i32,
        /// Extended highest sequence number received.
        highest_seq: u32,
        /// Interarrival jitter in timestamp units.
        jitter: u32,
        /// Middle 32 bits of the last sender report's NTP time; 0 if none was received.
        last_sr: u32,
        /// Delay since that report, in 1/65536 s.
        delay_since_sr: u32,
    },
    /// Lost packets to be sent again (RFC 4585 §6.2.1).
    Nack {
        /// The stream.
        media_ssrc: u32,
        /// Their sequence numbers.
        lost: LostSequences<'a>,
    },
    /// A key frame is wanted (RFC 4585 §6.3.1).
    Pli {
        /// The stream.
        media_ssrc: u32,
    },
    /// A key frame is wanted (RFC 5104 §4.3.1); a repeated number is the same request.
    Fir {
        /// The stream.
        media_ssrc: u32,
        /// Command sequence number.
        command: u8,
    },
    /// Arrival times of packets numbered transport-wide.
    TransportFeedback(TransportFeedback<'a>),
    /// Receiver-estimated maximum bitrate.
    Remb {
        /// Bits per second.
        bitrate: u64,
    },
    /// A source leaves (RFC 3550 §6.6).
    Bye {
        /// The source.
        ssrc: u32,
    },
    /// Broken framing (then it is the only item), or one packet too short for its type. Count
    /// [`MALFORMED`].
    Malformed,
}

/// Reads a compound packet. Hostile input yields [`RtcpItem::Malformed`], never a panic.
pub fn parse(compound: &[u8]) -> Items<'_> {
    if is_framed(compound) {
        Items {
            rest: compound,
            pending: Pending::Nothing,
        }
    } else {
        Items {
            rest: &[],
            pending: Pending::Malformed,
        }
    }
}

/// RFC 3550 A.2: version 2 in each packet, and the lengths add up to the datagram exactly.
fn is_framed(mut rest: &[u8]) -> bool {
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        match split_packet(rest) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// One framed packet: header fields and the body without padding.
struct Framed<'a> {
    count: u8,
    packet_type: u8,
    body: &'a [u8],
}

fn split_packet(rest: &[u8]) -> Option<(Framed<'_>, &[u8])> {
    let (head, after_head) = rest.split_first_chunk::<4>()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let body_len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    let (mut body, after) = after_head.split_at_checked(body_len)?;
    if head[0] & 0x20 != 0 {
        // RFC 3550 §6.4.1 wants padding on the last packet only; libwebrtc also pads transport
        // feedback in the middle of a compound, so it is taken off wherever it stands.
        let padding = usize::from(*body.last()?);
        if padding == 0 {
            return None;
        }
        body = &body[..body.len().checked_sub(padding)?];
    }
    Some((
        Framed {
            count: head[0] & 0x1F,
            packet_type: head[1],
            body,
        },
        after,
    ))
}

/// Iterator over the items of a compound; see [`parse`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    pending: Pending<'a>,
}

/// What is left to be said of the packet read last.
#[derive(Clone, Debug)]
enum Pending<'a> {
    Nothing,
    Malformed,
    ReportBlocks { reporter: u32, blocks: &'a [u8] },
    Firs(&'a [u8]),
    Byes(&'a [u8]),
}

impl<'a> Iterator for Items<'a> {
    type Item = RtcpItem<'a>;

    fn next(&mut self) -> Option<RtcpItem<'a>> {
        loop {
            if let Some(item) = self.next_pending() {
                return Some(item);
            }
            let (packet, after) = split_packet(self.rest)?;
            self.rest = after;
            match self.open(&packet) {
                Some(Some(item)) => return Some(item),
                Some(None) => {}
                None => return Some(RtcpItem::Malformed),
            }
        }
    }
}

impl<'a> Items<'a> {
    fn next_pending(&mut self) -> Option<RtcpItem<'a>> {
        match &mut self.pending {
            Pending::Nothing => None,
            Pending::Malformed => {
                self.pending = Pending::Nothing;
                Some(RtcpItem::Malformed)
            }
            Pending::ReportBlocks { reporter, blocks } => {
                let (block, rest) = blocks.split_first_chunk::<REPORT_BLOCK_LEN>()?;
                *blocks = rest;
                Some(report_block(*reporter, block))
            }
            Pending::Firs(entries) => {
                let (entry, rest) = entries.split_first_chunk::<8>()?;
                *entries = rest;
                Some(RtcpItem::Fir {
                    media_ssrc: word(&entry[..4]),
                    command: entry[4],
                })
            }
            Pending::Byes(sources) => {
                let (source, rest) = sources.split_first_chunk::<4>()?;
                *sources = rest;
                Some(RtcpItem::Bye {
                    ssrc: u32::from_be_bytes(*source),
                })
            }
        }
    }

    /// The first item of a packet, if its type has one, leaving the others pending. The outer
    /// `None` means the packet is too short for its type.
    fn open(&mut self, packet: &Framed<'a>) -> Option<Option<RtcpItem<'a>>> {
        let (count, body) = (usize::from(packet.count), packet.body);
        let feedback = |body: &'a [u8]| {
            let (addresses, control) = body.split_first_chunk::<8>()?;
            Some((word(&addresses[4..]), control))
        };
        let item = match (packet.packet_type, packet.count) {
            (SENDER_REPORT, _) => {
                let (info, blocks) = body.split_first_chunk::<24>()?;
                let ssrc = word(&info[..4]);
                let blocks = blocks.get(..count * REPORT_BLOCK_LEN)?;
                self.pending = Pending::ReportBlocks {
                    reporter: ssrc,
                    blocks,
                };
                Some(RtcpItem::SenderReport {
                    ssrc,
                    ntp: u64::from(word(&info[4..8])) << 32 | u64::from(word(&info[8..12])),
                    rtp_timestamp: word(&info[12..16]),
                    packets: word(&info[16..20]),
                    octets: word(&info[20..24]),
                })
            }
            (RECEIVER_REPORT, _) => {
                let (reporter, blocks) = body.split_first_chunk::<4>()?;
                let blocks = blocks.get(..count * REPORT_BLOCK_LEN)?;
                self.pending = Pending::ReportBlocks {
                    reporter: u32::from_be_bytes(*reporter),
                    blocks,
                };
                None
            }
            (BYE, _) => {
                self.pending = Pending::Byes(body.get(..count * 4)?);
                None
            }
            (TRANSPORT_FEEDBACK, FMT_NACK) => {
                let (media_ssrc, control) = feedback(body)?;
                Some(RtcpItem::Nack {
                    media_ssrc,
                    lost: LostSequences::new(control),
                })
            }
            (TRANSPORT_FEEDBACK, FMT_TRANSPORT_WIDE) => {
                let (_, control) = feedback(body)?;
                Some(RtcpItem::TransportFeedback(TransportFeedback::parse(
                    control,
                )?))
            }
            (PAYLOAD_FEEDBACK, FMT_PLI) => Some(RtcpItem::Pli {
                media_ssrc: feedback(body)?.0,
            }),
            (PAYLOAD_FEEDBACK, FMT_FIR) => {
                self.pending = Pending::Firs(feedback(body)?.1);
                None
            }
            (PAYLOAD_FEEDBACK, FMT_APPLICATION) => remb(feedback(body)?.1),
            _ => None,
        };
        Some(item)
    }
}

fn report_block<'a>(reporter: u32, block: &[u8; REPORT_BLOCK_LEN]) -> RtcpItem<'a> {
    // 24 bits, signed (RFC 3550 §6.4.1): shifted to the top of the word and back.
    let cumulative_lost = (word(&block[4..8]) << 8) as i32 >> 8;
    RtcpItem::ReportBlock {
        reporter,
        about_ssrc: word(&block[..4]),
        fraction_lost: block[4],
        cumulative_lost,
        highest_seq: word(&block[8..12]),
        jitter: word(&block[12..16]),
        last_sr: word(&block[16..20]),
        delay_since_sr: word(&block[20..24]),
    }
}

/// draft-alvestrand-rmcat-remb-03 §2.2; another application's message is not ours and no error.
fn remb<'a>(control: &[u8]) -> Option<RtcpItem<'a>> {
    let (head, _) = control.split_first_chunk::<8>()?;
    if &head[..4] != b"REMB" {
        return None;
    }
    let exponent = u32::from(head[5] >> 2);
    let mantissa = u64::from(word(&head[4..8]) & 0x0003_FFFF);
    let bitrate = match mantissa.leading_zeros() >= exponent {
        true => mantissa << exponent,
        false => u64::MAX,
    };
    Some(RtcpItem::Remb { bitrate })
}

/// The big-endian word in a four-byte slice; callers slice exactly four.
pub(super) fn word(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// Sequence numbers of a generic NACK: each entry names one and a mask of the 16 after it.
#[derive(Clone, Debug)]
pub struct LostSequences<'a> {
    entries: &'a [u8],
    next: u16,
    mask: u32,
}

impl<'a> LostSequences<'a> {
    fn new(entries: &'a [u8]) -> Self {
        LostSequences {
            entries,
            next: 0,
            mask: 0,
        }
    }
}

impl Iterator for LostSequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.mask == 0 {
            let (entry, rest) = self.entries.split_first_chunk::<4>()?;
            self.entries = rest;
            self.next = u16::from_be_bytes([entry[0], entry[1]]);
            let following = u32::from(u16::from_be_bytes([entry[2], entry[3]]));
            self.mask = following << 1 | 1; // bit n stands for `next + n`
        }
        let skip = self.mask.trailing_zeros();
        self.mask &= self.mask - 1; // not zero: checked above, or just set with bit 0
        Some(self.next.wrapping_add(skip as u16))
    }
}
