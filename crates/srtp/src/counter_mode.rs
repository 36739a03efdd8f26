//! AES in counter mode, or nothing, with HMAC-SHA1 (RFC 3711 §4.1, §4.2.1; RFC 6188 §2).

use aes::cipher::{
    typenum::U16, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipherCore,
};
use aes::{Aes128, Aes192, Aes256};
use ctr::flavors::Ctr128BE;
use ctr::CtrCore;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::cryptex;
use crate::derivation::SessionKeys;
use crate::error::SrtpError;
use crate::header::{RtpHeader, SrtcpWord, RTCP_CLEAR_LEN};
use crate::key::MAX_SALT_LEN;
use crate::profile::SRTCP_INDEX_LEN;

/// One AES key schedule, one keyed HMAC state to clone per packet, one salt.
pub(crate) struct CounterMode {
    cipher: Option<BlockCipher>,
    mac: Hmac<Sha1>,
    salt: [u8; MAX_SALT_LEN],
    tag_len: usize,
}

impl CounterMode {
    /// `tag_len` differs between SRTP and SRTCP of one profile.
    pub(crate) fn new(keys: &SessionKeys, tag_len: usize) -> Self {
        Self {
            cipher: keys
                .profile()
                .encrypts()
                .then(|| BlockCipher::new(keys.encryption())),
            mac: <Hmac<Sha1> as KeyInit>::new_from_slice(keys.authentication())
                .expect("HMAC takes keys of any length"),
            salt: *keys.salt(),
            tag_len,
        }
    }

    pub(crate) fn seal_rtp(&self, packet: &mut [u8], header: &RtpHeader, index: u64) {
        let end = packet.len() - self.tag_len;
        self.apply_rtp_keystream(&mut packet[..end], header, index);
        let tag = self.rtp_tag(&packet[..end], index);
        packet[end..].copy_from_slice(&tag[..self.tag_len]);
    }

    pub(crate) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let end = packet.len() - self.tag_len;
        self.verify(&self.rtp_tag(&packet[..end], index), &packet[end..])?;
        self.apply_rtp_keystream(&mut packet[..end], header, index);
        Ok(())
    }

    pub(crate) fn seal_rtcp(&self, packet: &mut [u8], ssrc: u32, word: SrtcpWord) {
        let tag_at = packet.len() - self.tag_len;
        let word_at = tag_at - SRTCP_INDEX_LEN;
        self.apply_rtcp_keystream(&mut packet[RTCP_CLEAR_LEN..word_at], ssrc, word);
        packet[word_at..tag_at].copy_from_slice(&word.to_bytes());
        let tag = self.tag(&packet[..tag_at], &[]);
        packet[tag_at..].copy_from_slice(&tag[..self.tag_len]);
    }

    pub(crate) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        let tag_at = packet.len() - self.tag_len;
        let word_at = tag_at - SRTCP_INDEX_LEN;
        self.verify(&self.tag(&packet[..tag_at], &[]), &packet[tag_at..])?;
        self.apply_rtcp_keystream(&mut packet[RTCP_CLEAR_LEN..word_at], ssrc, word);
        Ok(())
    }

    fn apply_rtp_keystream(&self, packet: &mut [u8], header: &RtpHeader, index: u64) {
        let Some(cipher) = &self.cipher else { return };
        let counter = counter_block(&self.salt, header.ssrc, index, 0);
        if header.is_cryptex {
            cryptex::gather(packet, header);
            cipher.apply_keystream(&mut packet[cryptex::CLEAR_LEN..], &counter);
            cryptex::scatter(packet, header);
        } else {
            cipher.apply_keystream(&mut packet[header.len..], &counter);
        }
    }

    fn apply_rtcp_keystream(&self, body: &mut [u8], ssrc: u32, word: SrtcpWord) {
        if let (Some(cipher), true) = (&self.cipher, word.is_encrypted()) {
            let counter = counter_block(&self.salt, ssrc, u64::from(word.index()), 0);
            cipher.apply_keystream(body, &counter);
        }
    }

    /// RFC 3711 §4.2: the tag of SRTP also covers the rollover counter.
    fn rtp_tag(&self, packet: &[u8], index: u64) -> [u8; 20] {
        self.tag(packet, &index.to_be_bytes()[2..6])
    }

    fn tag(&self, packet: &[u8], rollover_counter: &[u8]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(rollover_counter);
        mac.finalize().into_bytes().into()
    }

    fn verify(&self, expected: &[u8; 20], received: &[u8]) -> Result<(), SrtpError> {
        if bool::from(expected[..self.tag_len].ct_eq(received)) {
            Ok(())
        } else {
            Err(SrtpError::AuthenticationFailed)
        }
    }
}

/// RFC 3711 §4.1.1: IV = salt · 2^16 XOR SSRC · 2^64 XOR index · 2^16, and the block's number.
pub(crate) fn counter_block(
    salt: &[u8; MAX_SALT_LEN],
    ssrc: u32,
    index: u64,
    block: u16,
) -> [u8; 16] {
    let mut counter = [0_u8; 16];
    counter[..MAX_SALT_LEN].copy_from_slice(salt);
    for (byte, ssrc) in counter[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= ssrc;
    }
    for (byte, index) in counter[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= index;
    }
    counter[14..].copy_from_slice(&block.to_be_bytes());
    counter
}

/// The AES key schedule of one key length.
pub(crate) enum BlockCipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl BlockCipher {
    pub(crate) fn new(key: &[u8]) -> Self {
        const FITS: &str = "the profile table has keys of 16, 24 and 32 bytes";
        match key.len() {
            16 => Self::Aes128(Aes128::new_from_slice(key).expect(FITS)),
            24 => Self::Aes192(Aes192::new_from_slice(key).expect(FITS)),
            _ => Self::Aes256(Aes256::new_from_slice(key).expect(FITS)),
        }
    }

    pub(crate) fn apply_keystream(&self, body: &mut [u8], counter: &[u8; 16]) {
        match self {
            Self::Aes128(cipher) => xor_keystream(cipher, body, counter),
            Self::Aes192(cipher) => xor_keystream(cipher, body, counter),
            Self::Aes256(cipher) => xor_keystream(cipher, body, counter),
        }
    }
}

fn xor_keystream<C>(cipher: &C, body: &mut [u8], counter: &[u8; 16])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = CtrCore::<&C, Ctr128BE>::inner_iv_init(cipher, counter.into());
    core.apply_keystream_partial(body.into());
}
