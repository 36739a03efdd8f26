//! What is due to a publisher, written as one compound: a report, NACKs, key-frame requests,
//! transport-wide feedback, in this order.

use std::time::{Duration, Instant};

use super::{Reception, Stream, MAX_COMPOUND};
use crate::rtcp::{CompoundWriter, ReportBlockFields};
use crate::rtp::ExtendedSequence;

/// Receiver reports: half of RFC 3550 §6.2's fixed minimum would be 2.5 s; with a profile that
/// allows early feedback (RFC 4585 §3.4) one second is what browsers do for video.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Room that a NACK wants at least: head and one entry.
const NACK_MIN_LEN: usize = 16;
/// Report blocks in one packet.
const MAX_BLOCKS: usize = 31;

const EMPTY_BLOCK: ReportBlockFields = ReportBlockFields {
    about_ssrc: 0,
    fraction_lost: 0,
    cumulative_lost: 0,
    highest_seq: 0,
    jitter: 0,
    last_sr: 0,
    delay_since_sr: 0,
};

impl Reception {
    /// Writes what is due at `now` as one compound of at most [`MAX_COMPOUND`] bytes and returns
    /// its length, 0 if nothing is due. `out` should have that many bytes, and the caller adds its
    /// SRTCP overhead beyond them.
    pub fn poll(&mut self, now: Instant, out: &mut [u8]) -> usize {
        if now < self.deadline() {
            return 0;
        }
        let limit = out.len().min(MAX_COMPOUND);
        let mut writer = CompoundWriter::new(&mut out[..limit]);
        let mut useful = self.write_report(now, &mut writer);
        if !useful && !self.config.reduced_size {
            let opened = writer.receiver_report(self.config.local_ssrc, &[])
                && writer.cname(self.config.local_ssrc, &self.config.cname);
            if !opened {
                return 0;
            }
        }
        // NACKs first: what they give up becomes a key-frame request.
        useful |= self.write_nacks(now, &mut writer);
        useful |= self.write_key_frame_requests(now, &mut writer);
        useful |= self.write_feedback(now, &mut writer, useful);
        if useful {
            writer.len()
        } else {
            0
        }
    }

    /// A receiver report on the streams that had packets since the last one (RFC 3550 §6.4). More
    /// than fit wait for the next compound.
    fn write_report(&mut self, now: Instant, writer: &mut CompoundWriter<'_>) -> bool {
        if now < self.report_at {
            return false;
        }
        let local_ssrc = self.config.local_ssrc;
        let mut blocks = [EMPTY_BLOCK; MAX_BLOCKS];
        let mut count = 0;
        let due = self.streams.iter_mut().filter(|stream| stream.report_due);
        for (stream, block) in due.zip(&mut blocks) {
            *block = stream.report_block(now);
            stream.report_due = false;
            count += 1;
        }
        if !self.streams.iter().any(|stream| stream.report_due) {
            self.report_at = now + REPORT_INTERVAL;
        }
        // 31 blocks, their head and the longest CNAME are 1024 bytes: below MAX_COMPOUND.
        count > 0
            && writer.receiver_report(local_ssrc, &blocks[..count])
            && writer.cname(local_ssrc, &self.config.cname)
    }

    fn write_key_frame_requests(&mut self, now: Instant, writer: &mut CompoundWriter<'_>) -> bool {
        let mut useful = false;
        for stream in &mut self.streams {
            let is_due = stream.key_frame.due.is_some_and(|due| due <= now);
            if is_due && writer.pli(self.config.local_ssrc, stream.ssrc) {
                stream.key_frame.sent(now);
                stream.counts.key_frame_requests += 1;
                useful = true;
            }
        }
        useful
    }

    fn write_nacks(&mut self, now: Instant, writer: &mut CompoundWriter<'_>) -> bool {
        let mut useful = false;
        for stream in &mut self.streams {
            if stream.missing.due().is_none_or(|due| due > now) {
                continue;
            }
            let abandoned = stream.missing.drop_hopeless(now);
            stream.give_up(now, abandoned);
            if writer.room() < NACK_MIN_LEN {
                continue;
            }
            let lost = stream.missing.due_sequences(now);
            let asked = writer.nack(self.config.local_ssrc, stream.ssrc, lost);
            stream.missing.asked(now, asked, self.rtt);
            stream.counts.nacked += asked as u64;
            useful |= asked > 0;
        }
        useful
    }

    fn write_feedback(
        &mut self,
        now: Instant,
        writer: &mut CompoundWriter<'_>,
        is_shared: bool,
    ) -> bool {
        if self.feedback_at.is_none_or(|due| due > now) {
            return false;
        }
        // The media SSRC has no meaning here; libwebrtc writes any stream of the transport.
        let media_ssrc = self.streams.first().map_or(0, |stream| stream.ssrc);
        let (base, arrivals) = self.arrivals.unreported();
        let covered = writer.transport_feedback(
            self.config.local_ssrc,
            media_ssrc,
            self.feedback_count,
            base,
            arrivals,
        );
        if covered > 0 {
            self.feedback_count = self.feedback_count.wrapping_add(1);
            self.arrivals.reported(covered);
        } else if !is_shared {
            // Not even a whole compound holds it: the same again would hold no more.
            self.arrivals.skip();
        }
        if !self.arrivals.has_unreported() {
            self.feedback_at = None;
        }
        covered > 0
    }
}

impl Stream {
    pub(super) fn give_up(&mut self, now: Instant, abandoned: usize) {
        if abandoned > 0 {
            self.counts.abandoned += abandoned as u64;
            if self.config.key_frames {
                self.key_frame.ask(now);
            }
        }
    }

    fn report_block(&mut self, now: Instant) -> ReportBlockFields {
        let highest = self.sequence.highest();
        let (fraction_lost, cumulative_lost) = self.interarrival.interval_loss(highest);
        let highest_seq = highest.map_or(0, |highest| highest - ExtendedSequence::FIRST_CYCLE);
        let (last_sr, delay_since_sr) = self.mapping.map_or((0, 0), |mapping| {
            let delay = now.saturating_duration_since(mapping.received_at);
            let units = delay.as_nanos() * 65_536 / 1_000_000_000;
            (
                (mapping.ntp >> 16) as u32,
                u32::try_from(units).unwrap_or(u32::MAX),
            )
        });
        ReportBlockFields {
            about_ssrc: self.ssrc,
            fraction_lost,
            cumulative_lost,
            highest_seq: highest_seq as u32, // the low 32 bits: cycles wrap (RFC 3550 §6.4.1)
            jitter: self.interarrival.jitter(),
            last_sr,
            delay_since_sr,
        }
    }
}
