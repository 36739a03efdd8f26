//! Many packets in one call, all in one buffer.
//!
//! For callers that pay for each call, as a Python binding does, and for those that have a whole
//! frame at hand. Each packet has its own outcome: one that is refused does not stop the others.

use crate::error::SrtpError;
use crate::receiver::Receiver;
use crate::sender::Sender;

/// Where one packet stands in a buffer of many, in bytes. Packets must not overlap: what they
/// share would be overwritten.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Span {
    /// Where it begins.
    pub start: usize,
    /// How long it is.
    pub len: usize,
    /// How much room it has from `start` on, itself included. Opening needs no more than `len`.
    pub room: usize,
}

impl Span {
    /// The packet's room; an empty one if it runs past the buffer.
    fn of<'buffer>(&self, buffer: &'buffer mut [u8]) -> &'buffer mut [u8] {
        self.start
            .checked_add(self.room)
            .and_then(|end| buffer.get_mut(self.start..end))
            .unwrap_or_default()
    }
}

impl Sender {
    /// Protects each RTP packet in place, in order, and gives its new length or its error to
    /// `outcome` with its place in `packets`.
    pub fn protect_rtp_many(
        &mut self,
        buffer: &mut [u8],
        packets: &[Span],
        mut outcome: impl FnMut(usize, Result<usize, SrtpError>),
    ) {
        for (place, span) in packets.iter().enumerate() {
            outcome(place, self.protect_rtp(span.of(buffer), span.len));
        }
    }

    /// As [`protect_rtp_many`](Self::protect_rtp_many), for RTCP.
    pub fn protect_rtcp_many(
        &mut self,
        buffer: &mut [u8],
        packets: &[Span],
        mut outcome: impl FnMut(usize, Result<usize, SrtpError>),
    ) {
        for (place, span) in packets.iter().enumerate() {
            outcome(place, self.protect_rtcp(span.of(buffer), span.len));
        }
    }
}

impl Receiver {
    /// Opens each SRTP packet in place, in order, and gives its new length or its error to
    /// `outcome` with its place in `packets`.
    pub fn unprotect_rtp_many(
        &mut self,
        buffer: &mut [u8],
        packets: &[Span],
        mut outcome: impl FnMut(usize, Result<usize, SrtpError>),
    ) {
        for (place, span) in packets.iter().enumerate() {
            let packet = span.of(buffer).get_mut(..span.len).unwrap_or_default();
            outcome(place, self.unprotect_rtp(packet));
        }
    }

    /// As [`unprotect_rtp_many`](Self::unprotect_rtp_many), for SRTCP.
    pub fn unprotect_rtcp_many(
        &mut self,
        buffer: &mut [u8],
        packets: &[Span],
        mut outcome: impl FnMut(usize, Result<usize, SrtpError>),
    ) {
        for (place, span) in packets.iter().enumerate() {
            let packet = span.of(buffer).get_mut(..span.len).unwrap_or_default();
            outcome(place, self.unprotect_rtcp(packet));
        }
    }
}
