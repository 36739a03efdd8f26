//! Writing a compound packet by packet into one buffer.

use super::packet_type::{
    BYE, FMT_NACK, FMT_PLI, FMT_TRANSPORT_WIDE, PAYLOAD_FEEDBACK, RECEIVER_REPORT, SENDER_REPORT,
    SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK,
};
use super::{transport_feedback, REPORT_BLOCK_LEN};

/// Report blocks that one packet can hold: its count has five bits.
const MAX_BLOCKS: usize = 31;
/// RTCP header, sender's SSRC and media SSRC of a feedback message (RFC 4585 §6.1).
const FEEDBACK_HEAD_LEN: usize = 12;
/// SDES item type CNAME (RFC 3550 §6.5.1).
const SDES_CNAME: u8 = 1;

/// A sender report to be written (RFC 3550 §6.4.1).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct SenderReportFields {
    /// Own stream.
    pub ssrc: u32,
    /// Wall clock, 32.32 fixed point.
    pub ntp: u64,
    /// The same instant in the stream's clock.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// A report block to be written (RFC 3550 §6.4.1).
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct ReportBlockFields {
    /// The stream reported on.
    pub about_ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far; written clamped to 24 bits, signed.
    pub cumulative_lost: i64,
    /// Extended highest sequence number received.
    pub highest_seq: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, 0 for none.
    pub last_sr: u32,
    /// Delay since it, in 1/65536 s.
    pub delay_since_sr: u32,
}

/// Builds one compound in a buffer. Each method writes a whole packet or nothing, and says which.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> CompoundWriter<'a> {
    /// An empty compound; `out` is its limit.
    pub fn new(out: &'a mut [u8]) -> Self {
        CompoundWriter { out, len: 0 }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes still free.
    pub fn room(&self) -> usize {
        self.out.len() - self.len
    }

    /// A sender report with up to 31 report blocks; more are refused.
    #[must_use]
    pub fn sender_report(
        &mut self,
        fields: &SenderReportFields,
        blocks: &[ReportBlockFields],
    ) -> bool {
        let len = 28 + blocks.len() * REPORT_BLOCK_LEN;
        if blocks.len() > MAX_BLOCKS {
            return false;
        }
        let Some(packet) = self.start(SENDER_REPORT, blocks.len() as u8, len) else {
            return false;
        };
        packet[4..8].copy_from_slice(&fields.ssrc.to_be_bytes());
        packet[8..16].copy_from_slice(&fields.ntp.to_be_bytes());
        packet[16..20].copy_from_slice(&fields.rtp_timestamp.to_be_bytes());
        packet[20..24].copy_from_slice(&fields.packets.to_be_bytes());
        packet[24..28].copy_from_slice(&fields.octets.to_be_bytes());
        write_blocks(&mut packet[28..], blocks);
        true
    }

    /// A receiver report with up to 31 report blocks, also with none; more are refused.
    #[must_use]
    pub fn receiver_report(&mut self, reporter: u32, blocks: &[ReportBlockFields]) -> bool {
        let len = 8 + blocks.len() * REPORT_BLOCK_LEN;
        if blocks.len() > MAX_BLOCKS {
            return false;
        }
        let Some(packet) = self.start(RECEIVER_REPORT, blocks.len() as u8, len) else {
            return false;
        };
        packet[4..8].copy_from_slice(&reporter.to_be_bytes());
        write_blocks(&mut packet[8..], blocks);
        true
    }

    /// A source description with one CNAME, cut to 255 bytes (RFC 3550 §6.5.1).
    #[must_use]
    pub fn cname(&mut self, ssrc: u32, cname: &str) -> bool {
        let name = &cname.as_bytes()[..cname.len().min(255)];
        // Header, SSRC, item type and length, text, at least one zero to end the chunk.
        let len = (8 + 2 + name.len() + 1).next_multiple_of(4);
        let Some(packet) = self.start(SOURCE_DESCRIPTION, 1, len) else {
            return false;
        };
        packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
        packet[8] = SDES_CNAME;
        packet[9] = name.len() as u8; // at most 255: cut above
        packet[10..10 + name.len()].copy_from_slice(name);
        packet[10 + name.len()..].fill(0);
        true
    }

    /// A generic NACK for these sequence numbers, in ascending order for the closest packing.
    /// Returns how many were written; the rest did not fit.
    #[must_use]
    pub fn nack(
        &mut self,
        sender: u32,
        media_ssrc: u32,
        lost: impl IntoIterator<Item = u16>,
    ) -> usize {
        let mut lost = lost.into_iter().peekable();
        let max_entries = self.room().saturating_sub(FEEDBACK_HEAD_LEN) / 4;
        if lost.peek().is_none() || max_entries == 0 {
            return 0;
        }
        let at = self.len + FEEDBACK_HEAD_LEN;
        let (mut entries, mut written) = (0, 0);
        while entries < max_entries {
            let Some(first) = lost.next() else {
                break;
            };
            written += 1;
            let mut mask = 0_u16;
            while let Some(step @ 1..=16) = lost.peek().map(|next| next.wrapping_sub(first)) {
                mask |= 1 << (step - 1);
                written += 1;
                lost.next();
            }
            let entry = &mut self.out[at + entries * 4..][..4];
            entry[..2].copy_from_slice(&first.to_be_bytes());
            entry[2..].copy_from_slice(&mask.to_be_bytes());
            entries += 1;
        }
        let len = FEEDBACK_HEAD_LEN + entries * 4;
        let fits = self.start_feedback(TRANSPORT_FEEDBACK, FMT_NACK, len, sender, media_ssrc);
        debug_assert!(fits, "max_entries was computed from the room");
        written
    }

    /// A picture loss indication.
    #[must_use]
    pub fn pli(&mut self, sender: u32, media_ssrc: u32) -> bool {
        self.start_feedback(
            PAYLOAD_FEEDBACK,
            FMT_PLI,
            FEEDBACK_HEAD_LEN,
            sender,
            media_ssrc,
        )
    }

    /// Transport-wide feedback on the packets from `base_sequence` on; `arrivals` are in ticks of
    /// 250 µs on any steady clock, `None` for a packet not received. Returns how many packets it
    /// covers, 0 if nothing was written.
    #[must_use]
    pub fn transport_feedback(
        &mut self,
        sender: u32,
        media_ssrc: u32,
        feedback_count: u8,
        base_sequence: u16,
        arrivals: impl Iterator<Item = Option<i64>>,
    ) -> usize {
        let at = self.len + FEEDBACK_HEAD_LEN;
        let Some(room) = self.out.get_mut(at..) else {
            return 0;
        };
        let Some(written) =
            transport_feedback::write(room, feedback_count, base_sequence, arrivals)
        else {
            return 0;
        };
        let len = FEEDBACK_HEAD_LEN + written.len;
        let fits = self.start_feedback(
            TRANSPORT_FEEDBACK,
            FMT_TRANSPORT_WIDE,
            len,
            sender,
            media_ssrc,
        );
        debug_assert!(fits, "the message was written into the room");
        written.covered
    }

    /// A BYE for one source.
    #[must_use]
    pub fn bye(&mut self, ssrc: u32) -> bool {
        let Some(packet) = self.start(BYE, 1, 8) else {
            return false;
        };
        packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
        true
    }

    /// Takes `len` bytes (a multiple of four) and writes the common header into them.
    fn start(&mut self, packet_type: u8, count: u8, len: usize) -> Option<&mut [u8]> {
        let packet = self.out.get_mut(self.len..)?.get_mut(..len)?;
        let words = u16::try_from(len / 4 - 1).ok()?; // len is at least 4
        packet[0] = 0x80 | count;
        packet[1] = packet_type;
        packet[2..4].copy_from_slice(&words.to_be_bytes());
        self.len += len;
        Some(packet)
    }

    fn start_feedback(
        &mut self,
        packet_type: u8,
        format: u8,
        len: usize,
        sender: u32,
        media_ssrc: u32,
    ) -> bool {
        let Some(packet) = self.start(packet_type, format, len) else {
            return false;
        };
        packet[4..8].copy_from_slice(&sender.to_be_bytes());
        packet[8..12].copy_from_slice(&media_ssrc.to_be_bytes());
        true
    }
}

fn write_blocks(out: &mut [u8], blocks: &[ReportBlockFields]) {
    for (out, block) in out.chunks_exact_mut(REPORT_BLOCK_LEN).zip(blocks) {
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as i32;
        out[..4].copy_from_slice(&block.about_ssrc.to_be_bytes());
        out[4..8].copy_from_slice(&lost.to_be_bytes());
        out[4] = block.fraction_lost; // the top byte of the word above
        out[8..12].copy_from_slice(&block.highest_seq.to_be_bytes());
        out[12..16].copy_from_slice(&block.jitter.to_be_bytes());
        out[16..20].copy_from_slice(&block.last_sr.to_be_bytes());
        out[20..24].copy_from_slice(&block.delay_since_sr.to_be_bytes());
    }
}
