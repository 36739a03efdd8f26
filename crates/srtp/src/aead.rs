//! AES-GCM for SRTP and SRTCP (RFC 7714).
//!
//! The nonce is made of the SSRC and the index alone. Two different packets under one nonce give
//! away the authentication key, so whoever calls `seal` must never repeat an index.

use boring::aead::{AeadCtx, Algorithm};

use crate::cryptex;
use crate::derivation::SessionKeys;
use crate::error::SrtpError;
use crate::header::{RtpHeader, SrtcpWord, RTCP_CLEAR_LEN};
use crate::key::KeyError;
use crate::profile::SRTCP_INDEX_LEN;

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// One AES-GCM key and the salt of its nonces.
pub(crate) struct Gcm {
    context: AeadCtx,
    salt: [u8; NONCE_LEN],
}

impl Gcm {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        let algorithm = if keys.profile().key_len() == 32 {
            Algorithm::aes_256_gcm()
        } else {
            Algorithm::aes_128_gcm()
        };
        let context = AeadCtx::new_default_tag(&algorithm, keys.encryption())
            .map_err(|_| KeyError::Engine)?;
        let (salt, _) = keys
            .salt()
            .split_first_chunk()
            .expect("salts are stored in 14 bytes, zero-padded");
        Ok(Self {
            context,
            salt: *salt,
        })
    }

    /// RFC 7714 §8.1: `00 00 ‖ SSRC ‖ ROC ‖ SEQ`, XOR salt. The last six bytes are the index.
    #[inline(always)]
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        self.salted(nonce)
    }

    /// RFC 7714 §9.1: `00 00 ‖ SSRC ‖ 00 00 ‖ index`, XOR salt. The E flag is no part of it.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[8..].copy_from_slice(&index.to_be_bytes());
        self.salted(nonce)
    }

    #[inline(always)]
    fn salted(&self, mut nonce: [u8; NONCE_LEN]) -> [u8; NONCE_LEN] {
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        nonce
    }

    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtp_nonce(header.ssrc, index);
        if header.is_cryptex {
            cryptex::gather(packet, header);
            self.seal_behind(cryptex::CLEAR_LEN, packet, &nonce)?;
            cryptex::scatter(packet, header);
            return Ok(());
        }
        self.seal_behind(header.len, packet, &nonce)
    }

    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: &RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtp_nonce(header.ssrc, index);
        if header.is_cryptex {
            cryptex::gather(packet, header);
            self.open_behind(cryptex::CLEAR_LEN, packet, &nonce)?;
            cryptex::scatter(packet, header);
            return Ok(());
        }
        self.open_behind(header.len, packet, &nonce)
    }

    #[inline(always)]
    fn seal_behind(
        &mut self,
        clear_len: usize,
        packet: &mut [u8],
        nonce: &[u8; NONCE_LEN],
    ) -> Result<(), SrtpError> {
        let (clear, rest) = packet.split_at_mut(clear_len);
        let (payload, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
        self.seal(nonce, payload, tag, clear)
    }

    #[inline(always)]
    fn open_behind(
        &mut self,
        clear_len: usize,
        packet: &mut [u8],
        nonce: &[u8; NONCE_LEN],
    ) -> Result<(), SrtpError> {
        let (clear, rest) = packet.split_at_mut(clear_len);
        let (payload, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
        self.open(nonce, payload, tag, clear)
    }

    /// RFC 7714 §9.2 and, for E = 0, §9.3: then everything is associated data.
    pub(crate) fn seal_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtcp_nonce(ssrc, word.index());
        let word_at = packet.len() - SRTCP_INDEX_LEN;
        let tag_at = word_at - TAG_LEN;
        if word.is_encrypted() {
            let (clear, rest) = packet[..word_at].split_at_mut(RTCP_CLEAR_LEN);
            let (body, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
            self.seal(&nonce, body, tag, &rtcp_associated_data(clear, word))?;
        } else {
            let mut tag = [0; TAG_LEN];
            let data = with_word_behind(packet, tag_at, word);
            self.seal(&nonce, &mut [], &mut tag, data)?;
            packet[tag_at..word_at].copy_from_slice(&tag);
        }
        packet[word_at..].copy_from_slice(&word.to_bytes());
        Ok(())
    }

    pub(crate) fn open_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        word: SrtcpWord,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtcp_nonce(ssrc, word.index());
        let word_at = packet.len() - SRTCP_INDEX_LEN;
        let tag_at = word_at - TAG_LEN;
        if word.is_encrypted() {
            let (clear, rest) = packet[..word_at].split_at_mut(RTCP_CLEAR_LEN);
            let (body, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
            self.open(&nonce, body, tag, &rtcp_associated_data(clear, word))
        } else {
            let mut tag = [0; TAG_LEN];
            tag.copy_from_slice(&packet[tag_at..word_at]);
            let data = with_word_behind(packet, tag_at, word);
            self.open(&nonce, &mut [], &tag, data)
        }
    }

    #[inline(always)]
    fn seal(
        &mut self,
        nonce: &[u8],
        body: &mut [u8],
        tag: &mut [u8],
        associated: &[u8],
    ) -> Result<(), SrtpError> {
        // BoringSSL refuses only a nonce or a tag of the wrong length and 64 GiB of text.
        self.context
            .seal_in_place_mut(nonce, body, tag, associated)
            .map(|_| ())
            .map_err(|_| SrtpError::Engine)
    }

    #[inline(always)]
    fn open(
        &mut self,
        nonce: &[u8],
        body: &mut [u8],
        tag: &[u8],
        associated: &[u8],
    ) -> Result<(), SrtpError> {
        self.context
            .open_in_place_mut(nonce, body, tag, associated)
            .map_err(|_| SrtpError::AuthenticationFailed)
    }
}

/// RFC 7714 §9.2: the clear header and the word with the E flag.
fn rtcp_associated_data(clear: &[u8], word: SrtcpWord) -> [u8; RTCP_CLEAR_LEN + SRTCP_INDEX_LEN] {
    let mut data = [0; RTCP_CLEAR_LEN + SRTCP_INDEX_LEN];
    data[..RTCP_CLEAR_LEN].copy_from_slice(clear);
    data[RTCP_CLEAR_LEN..].copy_from_slice(&word.to_bytes());
    data
}

/// RFC 7714 §9.3: the whole packet and the word. The place of the tag is borrowed for the word.
fn with_word_behind(packet: &mut [u8], plain_len: usize, word: SrtcpWord) -> &[u8] {
    let end = plain_len + SRTCP_INDEX_LEN;
    packet[plain_len..end].copy_from_slice(&word.to_bytes());
    &packet[..end]
}
