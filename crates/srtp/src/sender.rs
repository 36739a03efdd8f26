//! The sending direction: plain packets become protected ones, and no index is used twice.

use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader};
use crate::index::{self, SRTCP_INDEX_END};
use crate::key::{KeyError, Labels, MasterKey};
use crate::profile::Profile;
use crate::replay::{RtpWindow, Seen};
use crate::ssrc_table::SsrcTable;
use crate::transform::Transform;

/// Protects the RTP and RTCP packets of one direction.
///
/// It takes packets in any order within [`REPLAY_WINDOW`](crate::REPLAY_WINDOW) of the newest, but
/// each sequence number of an SSRC once: a second packet would reuse keystream, and with AES-GCM
/// give away the authentication key. A retransmission is sent as RTX (RFC 4588) with its own SSRC.
pub struct Sender {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    rtp_windows: SsrcTable<RtpWindow>,
    rtcp_indices: SsrcTable<u32>,
}

impl Sender {
    /// A context that starts at rollover counter 0 and SRTCP index 0.
    pub fn new(key: MasterKey) -> Result<Self, KeyError> {
        Ok(Self {
            profile: key.profile(),
            rtp: Transform::new(&key.session(Labels::RTP))?,
            rtcp: Transform::new(&key.session(Labels::RTCP))?,
            rtp_windows: SsrcTable::new(),
            rtcp_indices: SsrcTable::new(),
        })
    }

    /// The profile of the key.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Protects the RTP packet `buffer[..len]` in place and returns its new length.
    ///
    /// The buffer must have room for `len` + [`Profile::rtp_overhead`]. Nothing is allocated,
    /// except once for a new SSRC.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let protected_len = protected_len(buffer, len, self.profile.rtp_overhead())?;
        let header = RtpHeader::parse(&buffer[..len], 0)?;

        // Recorded before it is used: whatever happens next, the index is spent.
        let index = if let Some(window) = self.rtp_windows.find(header.ssrc) {
            let index =
                index::guess(window.highest(), header.sequence).ok_or(SrtpError::KeyExhausted)?;
            if window.check(index) != Seen::No {
                return Err(SrtpError::IndexUsed);
            }
            window.record(index);
            index
        } else {
            self.rtp_windows.has_room()?;
            let index = u64::from(header.sequence);
            self.rtp_windows
                .insert(header.ssrc, RtpWindow::starting_at(index));
            index
        };
        self.rtp
            .seal_rtp(&mut buffer[..protected_len], header, index)?;
        Ok(protected_len)
    }

    /// Protects the compound RTCP packet `buffer[..len]` in place and returns its new length.
    ///
    /// The buffer must have room for `len` + [`Profile::rtcp_overhead`].
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let protected_len = protected_len(buffer, len, self.profile.rtcp_overhead())?;
        let ssrc = rtcp_ssrc(&buffer[..len], 0)?;

        let index = if let Some(next) = self.rtcp_indices.find(ssrc) {
            let index = *next;
            if index == SRTCP_INDEX_END {
                return Err(SrtpError::KeyExhausted);
            }
            *next += 1;
            index
        } else {
            self.rtcp_indices.has_room()?;
            self.rtcp_indices.insert(ssrc, 1);
            0
        };
        self.rtcp
            .seal_rtcp(&mut buffer[..protected_len], ssrc, index)?;
        Ok(protected_len)
    }

    /// Moves one SSRC's SRTCP index, so that a test can reach the last one.
    #[cfg(test)]
    fn set_next_rtcp(&mut self, ssrc: u32, next: u32) {
        *self.rtcp_indices.find(ssrc).expect("the test sent from it") = next;
    }
}

/// The length after protection, if `len` fits the buffer and the trailer fits behind it.
fn protected_len(buffer: &[u8], len: usize, overhead: usize) -> Result<usize, SrtpError> {
    if len > buffer.len() {
        return Err(SrtpError::Malformed);
    }
    if buffer.len() - len < overhead {
        return Err(SrtpError::BufferTooSmall);
    }
    Ok(len + overhead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_srtcp_index_is_used_and_then_the_key_is_exhausted() {
        let key =
            MasterKey::new(Profile::AeadAes128Gcm, &[1; 16], &[2; 12]).expect("right lengths");
        let mut sender = Sender::new(key).expect("the engine takes the key");
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let mut buffer = [0; 64];
        let mut protect = |sender: &mut Sender| {
            buffer[..8].copy_from_slice(&report);
            sender.protect_rtcp(&mut buffer, 8)
        };
        assert_eq!(protect(&mut sender), Ok(28));
        sender.set_next_rtcp(9, SRTCP_INDEX_END - 1);
        assert_eq!(protect(&mut sender), Ok(28));
        assert_eq!(protect(&mut sender), Err(SrtpError::KeyExhausted));
    }
}
