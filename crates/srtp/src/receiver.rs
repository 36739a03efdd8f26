//! The receiving direction: protected packets become plain ones, each at most once.

use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader};
use crate::index;
use crate::key::{KeyError, Labels, MasterKey};
use crate::profile::Profile;
use crate::replay::{RtcpWindow, RtpWindow, Seen};
use crate::ssrc_table::SsrcTable;
use crate::transform::Transform;

/// Opens the RTP and RTCP packets of one direction.
pub struct Receiver {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    rtp_windows: SsrcTable<RtpWindow>,
    rtcp_windows: SsrcTable<RtcpWindow>,
}

impl Receiver {
    /// A context that takes any SSRC at rollover counter 0.
    pub fn new(key: MasterKey) -> Result<Self, KeyError> {
        Ok(Self {
            profile: key.profile(),
            rtp: Transform::new(&key.session(Labels::RTP))?,
            rtcp: Transform::new(&key.session(Labels::RTCP))?,
            rtp_windows: SsrcTable::new(),
            rtcp_windows: SsrcTable::new(),
        })
    }

    /// The profile of the key.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Opens the SRTP packet in place and returns the length of the plain one.
    ///
    /// After an error the buffer's contents are unspecified and the context is as it was. Nothing
    /// is allocated for a packet that opens, except once for a new SSRC.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let overhead = self.profile.rtp_overhead();
        let header = RtpHeader::parse(packet, overhead)?;

        if let Some(window) = self.rtp_windows.find(header.ssrc) {
            let index =
                index::guess(window.highest(), header.sequence).ok_or(SrtpError::KeyExhausted)?;
            refuse_seen(window.check(index))?;
            self.rtp.open_rtp(packet, header, index)?;
            window.record(index);
        } else {
            self.rtp_windows.has_room()?;
            let index = u64::from(header.sequence);
            self.rtp.open_rtp(packet, header, index)?;
            self.rtp_windows
                .insert(header.ssrc, RtpWindow::starting_at(index));
        }
        Ok(packet.len() - overhead)
    }

    /// Opens the SRTCP packet in place and returns the length of the plain compound packet.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let overhead = self.profile.rtcp_overhead();
        let ssrc = rtcp_ssrc(packet, overhead)?;
        let index = self.rtcp.srtcp_index(packet)?;

        if let Some(window) = self.rtcp_windows.find(ssrc) {
            refuse_seen(window.check(u64::from(index)))?;
            self.rtcp.open_rtcp(packet, ssrc, index)?;
            window.record(u64::from(index));
        } else {
            self.rtcp_windows.has_room()?;
            self.rtcp.open_rtcp(packet, ssrc, index)?;
            self.rtcp_windows
                .insert(ssrc, RtcpWindow::starting_at(u64::from(index)));
        }
        Ok(packet.len() - overhead)
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.rtp_windows.len() + self.rtcp_windows.len()
    }
}

fn refuse_seen(seen: Seen) -> Result<(), SrtpError> {
    match seen {
        Seen::No => Ok(()),
        Seen::Yes => Err(SrtpError::Replayed),
        Seen::TooOld => Err(SrtpError::TooOld),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_packet_creates_no_ssrc() {
        for profile in Profile::ALL {
            let key = MasterKey::new(
                profile,
                &[1; 32][..profile.key_len()],
                &[2; 14][..profile.salt_len()],
            )
            .expect("right lengths");
            let mut receiver = Receiver::new(key).expect("the engine takes the key");
            for ssrc in 0_u32..200 {
                let mut rtp = [0xa5; 60];
                rtp[..4].copy_from_slice(&[0x80, 96, 0, 1]);
                rtp[8..12].copy_from_slice(&ssrc.to_be_bytes());
                assert_eq!(
                    receiver.unprotect_rtp(&mut rtp),
                    Err(SrtpError::AuthenticationFailed)
                );
                let mut rtcp = [0xa5; 60];
                rtcp[..4].copy_from_slice(&[0x80, 201, 0, 1]);
                rtcp[4..8].copy_from_slice(&ssrc.to_be_bytes());
                assert_eq!(
                    receiver.unprotect_rtcp(&mut rtcp),
                    Err(SrtpError::AuthenticationFailed)
                );
            }
            assert_eq!(receiver.remembered(), 0);
        }
    }
}
