//! AES in counter mode with HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1).

use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use aes::Aes128;
use ctr::flavors::Ctr128BE;
use ctr::CtrCore;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::error::SrtpError;
use crate::header::{RtpHeader, RTCP_CLEAR_LEN};
use crate::key::{SessionKeys, MAX_SALT_LEN};
use crate::profile::{MAX_TAG_LEN, SRTCP_INDEX_LEN};

/// One AES key schedule, one keyed HMAC state to clone per packet, one salt.
pub(crate) struct CounterMode {
    cipher: Aes128,
    mac: Hmac<Sha1>,
    salt: [u8; MAX_SALT_LEN],
    tag_len: usize,
}

impl CounterMode {
    pub(crate) fn new(keys: &SessionKeys) -> Self {
        Self {
            cipher: Aes128::new_from_slice(keys.encryption())
                .expect("the profile of this transform has 16-byte keys"),
            mac: <Hmac<Sha1> as KeyInit>::new_from_slice(keys.authentication())
                .expect("HMAC takes keys of any length"),
            salt: *keys.salt(),
            tag_len: keys.profile().rtp_overhead(),
        }
    }

    pub(crate) const fn tag_len(&self) -> usize {
        self.tag_len
    }

    pub(crate) fn seal_rtp(&self, packet: &mut [u8], header: RtpHeader, index: u64) {
        let end = packet.len() - self.tag_len;
        self.apply_keystream(&mut packet[header.len..end], header.ssrc, index);
        let tag = self.rtp_tag(&packet[..end], index);
        packet[end..].copy_from_slice(&tag[..self.tag_len]);
    }

    pub(crate) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let end = packet.len() - self.tag_len;
        self.verify(&self.rtp_tag(&packet[..end], index), &packet[end..])?;
        self.apply_keystream(&mut packet[header.len..end], header.ssrc, index);
        Ok(())
    }

    pub(crate) fn seal_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
        word: [u8; SRTCP_INDEX_LEN],
    ) {
        let tag_at = packet.len() - self.tag_len;
        let word_at = tag_at - SRTCP_INDEX_LEN;
        self.apply_keystream(&mut packet[RTCP_CLEAR_LEN..word_at], ssrc, u64::from(index));
        packet[word_at..tag_at].copy_from_slice(&word);
        let tag = self.tag(&[&packet[..tag_at]]);
        packet[tag_at..].copy_from_slice(&tag[..self.tag_len]);
    }

    pub(crate) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
        word: [u8; SRTCP_INDEX_LEN],
    ) -> Result<(), SrtpError> {
        let tag_at = packet.len() - self.tag_len;
        let word_at = tag_at - SRTCP_INDEX_LEN;
        self.verify(&self.tag(&[&packet[..word_at], &word]), &packet[tag_at..])?;
        self.apply_keystream(&mut packet[RTCP_CLEAR_LEN..word_at], ssrc, u64::from(index));
        Ok(())
    }

    /// RFC 3711 §4.1.1: IV = salt · 2^16 XOR SSRC · 2^64 XOR index · 2^16.
    fn apply_keystream(&self, body: &mut [u8], ssrc: u32, index: u64) {
        let mut iv = [0_u8; 16];
        iv[..MAX_SALT_LEN].copy_from_slice(&self.salt);
        for (byte, ssrc) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= ssrc;
        }
        for (byte, index) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= index;
        }
        let core = CtrCore::<&Aes128, Ctr128BE>::inner_iv_init(&self.cipher, &iv.into());
        core.apply_keystream_partial(body.into());
    }

    /// RFC 3711 §4.2: the tag of SRTP also covers the rollover counter.
    fn rtp_tag(&self, packet: &[u8], index: u64) -> [u8; 20] {
        let index = index.to_be_bytes();
        self.tag(&[packet, &index[2..6]])
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn verify(&self, expected: &[u8; 20], received: &[u8]) -> Result<(), SrtpError> {
        debug_assert!(self.tag_len <= MAX_TAG_LEN);
        if bool::from(expected[..self.tag_len].ct_eq(received)) {
            Ok(())
        } else {
            Err(SrtpError::AuthenticationFailed)
        }
    }
}
