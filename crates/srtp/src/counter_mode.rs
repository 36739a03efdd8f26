//! AES in counter mode, or nothing, with HMAC-SHA1 (RFC 3711 §4.1, §4.2.1; RFC 6188 §2).

use boring::memcmp;

use crate::cryptex;
use crate::derivation::SessionKeys;
use crate::error::SrtpError;
use crate::header::{RtpHeader, SrtcpWord, RTCP_CLEAR_LEN};
use crate::hmac::{self, HmacSha1};
use crate::key::{KeyError, MAX_SALT_LEN};
use crate::keystream::{counter_block, CounterCipher};
use crate::profile::SRTCP_INDEX_LEN;

/// One AES key schedule, one keyed HMAC state to clone per packet, one salt.
pub(crate) struct CounterMode {
    cipher: Option<CounterCipher>,
    mac: HmacSha1,
    salt: [u8; MAX_SALT_LEN],
    tag_len: usize,
}

impl CounterMode {
    /// `tag_len` differs between SRTP and SRTCP of one profile.
    pub(crate) fn new(keys: &SessionKeys, tag_len: usize) -> Result<Self, KeyError> {
        Ok(Self {
            cipher: if keys.profile().encrypts() {
                Some(CounterCipher::new(keys.encryption())?)
            } else {
                None
            },
            mac: HmacSha1::new(keys.authentication()),
            salt: *keys.salt(),
            tag_len,
        })
    }

    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let end = packet.len() - self.tag_len;
        self.apply_rtp_keystream(&mut packet[..end], header, index)?;
        let tag = self.rtp_tag(&packet[..end], index);
        packet[end..].copy_from_slice(&tag[..self.tag_len]);
        Ok(())
    }

    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let end = packet.len() - self.tag_len;
        self.verify(&self.rtp_tag(&packet[..end], index), &packet[end..])?;
        self.apply_rtp_keystream(&mut packet[..end], header, index)
    }

    pub(crate) fn seal_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        let tag_at = packet.len() - self.tag_len;
        let word_at = tag_at - SRTCP_INDEX_LEN;
        self.apply_rtcp_keystream(&mut packet[RTCP_CLEAR_LEN..word_at], ssrc, word)?;
        packet[word_at..tag_at].copy_from_slice(&word.to_bytes());
        let tag = self.mac.tag([&packet[..tag_at], &[]]);
        packet[tag_at..].copy_from_slice(&tag[..self.tag_len]);
        Ok(())
    }

    pub(crate) fn open_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        let tag_at = packet.len() - self.tag_len;
        let word_at = tag_at - SRTCP_INDEX_LEN;
        self.verify(&self.mac.tag([&packet[..tag_at], &[]]), &packet[tag_at..])?;
        self.apply_rtcp_keystream(&mut packet[RTCP_CLEAR_LEN..word_at], ssrc, word)
    }

    fn apply_rtp_keystream(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let Some(cipher) = &mut self.cipher else {
            return Ok(());
        };
        let counter = counter_block(&self.salt, header.ssrc, index, 0);
        if header.is_cryptex {
            cryptex::gather(packet, header);
            cipher.apply(&mut packet[cryptex::CLEAR_LEN..], &counter)?;
            cryptex::scatter(packet, header);
            return Ok(());
        }
        cipher.apply(&mut packet[header.len..], &counter)
    }

    fn apply_rtcp_keystream(
        &mut self,
        body: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        match &mut self.cipher {
            Some(cipher) if word.is_encrypted() => {
                let counter = counter_block(&self.salt, ssrc, u64::from(word.index()), 0);
                cipher.apply(body, &counter)
            }
            _ => Ok(()),
        }
    }

    /// RFC 3711 §4.2: the tag of SRTP also covers the rollover counter.
    fn rtp_tag(&self, packet: &[u8], index: u64) -> [u8; hmac::TAG_LEN] {
        self.mac.tag([packet, &index.to_be_bytes()[2..6]])
    }

    fn verify(&self, expected: &[u8; hmac::TAG_LEN], received: &[u8]) -> Result<(), SrtpError> {
        // In constant time; both have the length of the profile's tag.
        if memcmp::eq(&expected[..self.tag_len], received) {
            Ok(())
        } else {
            Err(SrtpError::AuthenticationFailed)
        }
    }
}
