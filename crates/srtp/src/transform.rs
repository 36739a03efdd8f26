//! The two ways to protect a packet, behind one face. The only place that asks which one it is.

use crate::aead::Gcm;
use crate::counter_mode::CounterMode;
use crate::error::SrtpError;
use crate::header::RtpHeader;
use crate::index::SRTCP_INDEX_END;
use crate::key::{KeyError, SessionKeys};

/// The E flag of an SRTCP packet: its body is encrypted (RFC 3711 §3.4).
const ENCRYPTED: u32 = SRTCP_INDEX_END;

/// Protects or opens packets of one kind with one set of session keys.
///
/// Every `seal` wants the whole output in `packet`: the plain packet and room for the trailer.
/// Every `open` wants the whole protected packet. Lengths are the caller's to check.
pub(crate) enum Transform {
    Gcm(Gcm),
    CounterMode(Box<CounterMode>),
}

impl Transform {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        Ok(if keys.profile().is_aead() {
            Self::Gcm(Gcm::new(keys)?)
        } else {
            Self::CounterMode(Box::new(CounterMode::new(keys)))
        })
    }

    #[inline]
    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Gcm(gcm) => gcm.seal_rtp(packet, header, index),
            Self::CounterMode(mode) => {
                mode.seal_rtp(packet, header, index);
                Ok(())
            }
        }
    }

    #[inline]
    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: RtpHeader,
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
        index: u32,
    ) -> Result<(), SrtpError> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Gcm(gcm) => gcm.seal_rtcp(packet, ssrc, index, word),
            Self::CounterMode(mode) => {
                mode.seal_rtcp(packet, ssrc, index, word);
                Ok(())
            }
        }
    }

    pub(crate) fn open_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<(), SrtpError> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Gcm(gcm) => gcm.open_rtcp(packet, ssrc, index, word),
            Self::CounterMode(mode) => mode.open_rtcp(packet, ssrc, index, word),
        }
    }

    /// The index that an SRTCP packet carries; refuses one that says it is not encrypted.
    pub(crate) fn srtcp_index(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        let end = match self {
            // RFC 7714 §9.2: the word is the last of the packet.
            Self::Gcm(_) => packet.len(),
            // RFC 3711 §3.4: the tag follows the word.
            Self::CounterMode(mode) => packet.len().saturating_sub(mode.tag_len()),
        };
        let word = packet
            .get(..end)
            .and_then(<[u8]>::last_chunk)
            .ok_or(SrtpError::Malformed)?;
        let word = u32::from_be_bytes(*word);
        if word & ENCRYPTED == 0 {
            return Err(SrtpError::Malformed);
        }
        Ok(word & !ENCRYPTED)
    }
}
