//! The ways to protect a packet, behind one face. The only place that asks which one it is.

use crate::aead::Gcm;
use crate::counter_mode::CounterMode;
use crate::derivation::SessionKeys;
use crate::error::SrtpError;
use crate::header::{RtpHeader, SrtcpWord};
use crate::key::KeyError;
use crate::profile::Profile;

/// Protects or opens packets of one kind with one set of session keys.
///
/// Every `seal` wants the whole output in `packet`: the plain packet and room for the trailer.
/// Every `open` wants the whole protected packet, without an MKI. Lengths are the caller's to
/// check.
pub(crate) enum Transform {
    Gcm(Gcm),
    CounterMode(Box<CounterMode>),
}

impl Transform {
    /// `tag_len` is the profile's for the kind of packet that the keys are for.
    pub(crate) fn new(keys: &SessionKeys, tag_len: usize) -> Result<Self, KeyError> {
        Ok(if keys.profile().is_aead() {
            Self::Gcm(Gcm::new(keys)?)
        } else {
            Self::CounterMode(Box::new(CounterMode::new(keys, tag_len)?))
        })
    }

    #[inline]
    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(packet, header, index),
            Self::CounterMode(mode) => mode.seal_rtp(packet, header, index),
        }
    }

    #[inline]
    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtp(packet, header, index),
            Self::CounterMode(mode) => mode.open_rtp(packet, header, index),
        }
    }

    pub(crate) fn seal_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(packet, ssrc, word),
            Self::CounterMode(mode) => mode.seal_rtcp(packet, ssrc, word),
        }
    }

    pub(crate) fn open_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(packet, ssrc, word),
            Self::CounterMode(mode) => mode.open_rtcp(packet, ssrc, word),
        }
    }
}

/// Where a packet's trailing fields stand, which differs between the two families of transforms.
impl Profile {
    /// Bytes behind the MKI of an SRTP packet: RFC 3711 §3.1 puts it before the tag, and the
    /// tag of an AEAD is a part of its ciphertext (RFC 7714).
    pub(crate) const fn behind_rtp_mki(self) -> usize {
        if self.is_aead() {
            0
        } else {
            self.rtp_tag_len()
        }
    }

    /// Bytes behind the MKI of an SRTCP packet (RFC 3711 §3.4, RFC 7714 §9.2).
    pub(crate) const fn behind_rtcp_mki(self) -> usize {
        if self.is_aead() {
            0
        } else {
            self.rtcp_tag_len()
        }
    }

    /// The E flag and the index of an SRTCP packet without an MKI.
    pub(crate) fn srtcp_word(self, packet: &[u8]) -> Result<SrtcpWord, SrtpError> {
        // What stands behind the MKI also stands behind the word.
        let end = packet.len().checked_sub(self.behind_rtcp_mki());
        end.and_then(|end| packet[..end].last_chunk())
            .map(|word| SrtcpWord::from_bytes(*word))
            .ok_or(SrtpError::Malformed)
    }
}
