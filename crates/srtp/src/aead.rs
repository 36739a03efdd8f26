//! AES-GCM for SRTP and SRTCP (RFC 7714).
//!
//! The nonce is made of the SSRC and the index alone. Two different packets under one nonce give
//! away the authentication key, so whoever calls `seal` must never repeat an index.

use boring::aead::{AeadCtx, Algorithm};

use crate::error::SrtpError;
use crate::header::{RtpHeader, RTCP_CLEAR_LEN};
use crate::key::{KeyError, SessionKeys};
use crate::profile::{Profile, SRTCP_INDEX_LEN};

const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// One AES-GCM key and the salt of its nonces.
pub(crate) struct Gcm {
    context: AeadCtx,
    salt: [u8; NONCE_LEN],
}

impl Gcm {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, KeyError> {
        let algorithm = match keys.profile() {
            Profile::AeadAes256Gcm => Algorithm::aes_256_gcm(),
            Profile::AeadAes128Gcm | Profile::Aes128CmSha1_80 => Algorithm::aes_128_gcm(),
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

    fn salted(&self, mut nonce: [u8; NONCE_LEN]) -> [u8; NONCE_LEN] {
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        nonce
    }

    pub(crate) fn seal_rtp(
        &mut self,
        packet: &mut [u8],
        header: RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtp_nonce(header.ssrc, index);
        let (clear, rest) = packet.split_at_mut(header.len);
        let (payload, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
        self.seal(&nonce, payload, tag, clear)
    }

    pub(crate) fn open_rtp(
        &mut self,
        packet: &mut [u8],
        header: RtpHeader,
        index: u64,
    ) -> Result<(), SrtpError> {
        let nonce = self.rtp_nonce(header.ssrc, index);
        let (clear, rest) = packet.split_at_mut(header.len);
        let (payload, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
        self.open(&nonce, payload, tag, clear)
    }

    pub(crate) fn seal_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
        word: [u8; SRTCP_INDEX_LEN],
    ) -> Result<(), SrtpError> {
        let nonce = self.rtcp_nonce(ssrc, index);
        let (clear, rest) = packet.split_at_mut(RTCP_CLEAR_LEN);
        let (sealed, trailer) = rest.split_at_mut(rest.len() - SRTCP_INDEX_LEN);
        let (body, tag) = sealed.split_at_mut(sealed.len() - TAG_LEN);
        trailer.copy_from_slice(&word);
        self.seal(&nonce, body, tag, &rtcp_associated_data(clear, word))
    }

    pub(crate) fn open_rtcp(
        &mut self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
        word: [u8; SRTCP_INDEX_LEN],
    ) -> Result<(), SrtpError> {
        let nonce = self.rtcp_nonce(ssrc, index);
        let (clear, rest) = packet.split_at_mut(RTCP_CLEAR_LEN);
        let (sealed, _) = rest.split_at_mut(rest.len() - SRTCP_INDEX_LEN);
        let (body, tag) = sealed.split_at_mut(sealed.len() - TAG_LEN);
        self.open(&nonce, body, tag, &rtcp_associated_data(clear, word))
    }

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
            .map_err(|_| SrtpError::BufferTooSmall)
    }

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
fn rtcp_associated_data(
    clear: &[u8],
    word: [u8; SRTCP_INDEX_LEN],
) -> [u8; RTCP_CLEAR_LEN + SRTCP_INDEX_LEN] {
    let mut data = [0; RTCP_CLEAR_LEN + SRTCP_INDEX_LEN];
    data[..RTCP_CLEAR_LEN].copy_from_slice(clear);
    data[RTCP_CLEAR_LEN..].copy_from_slice(&word);
    data
}

#[cfg(test)]
mod tests {
    use crate::header::{rtcp_ssrc, RtpHeader};
    use crate::key::SessionKeys;
    use crate::profile::Profile;
    use crate::transform::Transform;
    use crate::vectors::{self, hex};

    #[test]
    fn packets_are_sealed_and_opened_as_in_rfc_7714_sections_16_and_17() {
        let mut cases = 0;
        for case in vectors::aead() {
            let profile = Profile::from_name(&case.profile).expect("a profile of the table");
            let keys = SessionKeys::stated(profile, &hex(&case.key), &hex(&case.salt));
            let mut transform = Transform::new(&keys).expect("the key has the right length");
            let (plain, protected) = (hex(&case.plain), hex(&case.protected));
            let mut packet = plain.clone();
            packet.resize(protected.len(), 0);
            match case.kind.as_str() {
                "rtp" => {
                    let header = RtpHeader::parse(&plain, 0).expect("the vector is RTP");
                    transform
                        .seal_rtp(&mut packet, header, case.index)
                        .expect("it has room");
                    assert_eq!(packet, protected, "{}", case.source);
                    transform
                        .open_rtp(&mut packet, header, case.index)
                        .expect("it is genuine");
                }
                "rtcp" => {
                    let ssrc = rtcp_ssrc(&plain, 0).expect("the vector is RTCP");
                    let index = u32::try_from(case.index).expect("SRTCP indices have 31 bits");
                    transform
                        .seal_rtcp(&mut packet, ssrc, index)
                        .expect("it has room");
                    assert_eq!(packet, protected, "{}", case.source);
                    assert_eq!(transform.srtcp_index(&packet), Ok(index));
                    transform
                        .open_rtcp(&mut packet, ssrc, index)
                        .expect("it is genuine");
                }
                other => panic!("unknown kind {other}"),
            }
            assert_eq!(packet[..plain.len()], plain, "{}", case.source);
            cases += 1;
        }
        assert!(cases >= 4, "both profiles, RTP and RTCP");
    }
}
