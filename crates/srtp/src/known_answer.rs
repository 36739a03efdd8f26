//! Single steps of SRTP under keys that the caller states, for published vectors.
//!
//! RFC 3711 appendix B, RFC 6188 §7, RFC 6904 appendix A and RFC 7714 §16 and §17 give answers for
//! one step each: a derivation, a keystream, a packet under session keys. Contexts have no door
//! for these, and must not: they would let an index be used twice. Nothing here keeps any state.

use crate::derivation::{Labels, SessionKeys};
use crate::error::SrtpError;
use crate::header::{rtcp_ssrc, RtpHeader, SrtcpWord};
use crate::key::{KeyError, MasterKey};
use crate::keystream::{counter_block, CounterCipher};
use crate::profile::Profile;
use crate::transform::Transform;

/// Which session keys of a master key.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Purpose {
    /// Of SRTP packets (labels 0 to 2).
    Rtp,
    /// Of SRTCP packets (labels 3 to 5).
    Rtcp,
    /// Of header extension elements (labels 6 and 7, RFC 6904 §3.1).
    RtpHeader,
}

/// Session keys, in the open.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Derived {
    /// The key of the cipher.
    pub encryption: Vec<u8>,
    /// The key of HMAC-SHA1; empty for AEAD and for header extensions.
    pub authentication: Vec<u8>,
    /// The session salt.
    pub salt: Vec<u8>,
}

/// Derives session keys (RFC 3711 §4.3); `period` is `index DIV key_derivation_rate`, or 0.
pub fn derive(master: &MasterKey, purpose: Purpose, period: u64) -> Result<Derived, KeyError> {
    let labels = match purpose {
        Purpose::Rtp => Labels::RTP,
        Purpose::Rtcp => Labels::RTCP,
        Purpose::RtpHeader => Labels::RTP_HEADER,
    };
    let keys = SessionKeys::derive(master, labels, period)?;
    Ok(Derived {
        encryption: keys.encryption().to_vec(),
        authentication: match purpose {
            Purpose::RtpHeader => Vec::new(),
            Purpose::Rtp | Purpose::Rtcp => {
                keys.authentication()[..master.profile().auth_key_len()].to_vec()
            }
        },
        salt: keys.salt()[..master.profile().salt_len()].to_vec(),
    })
}

/// The first `len` bytes of the AES-CM keystream of a packet (RFC 3711 §4.1.1, RFC 6188 §2).
///
/// `key` and `salt` are a session key and salt of the profile's lengths.
pub fn keystream(
    profile: Profile,
    key: &[u8],
    salt: &[u8],
    ssrc: u32,
    index: u64,
    len: usize,
) -> Result<Vec<u8>, KeyError> {
    let stated = MasterKey::new(profile, key, salt)?;
    let mut out = vec![0; len];
    let counter = counter_block(stated.salt(), ssrc, index, 0);
    CounterCipher::new(stated.key())?
        .apply(&mut out, &counter)
        .map_err(|_| KeyError::Engine)?;
    Ok(out)
}

/// Session keys of an AEAD profile that seal and open packets at stated indices (RFC 7714).
pub struct AeadSession(Transform);

impl AeadSession {
    /// Takes a session key and salt of the profile's lengths.
    ///
    /// A profile that is no AEAD is refused as a key of the wrong kind.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if !profile.is_aead() {
            let (expected, got) = (Profile::AeadAes128Gcm, profile);
            return Err(KeyError::ProfileDiffers { expected, got });
        }
        let stated = MasterKey::new(profile, key, salt)?;
        let keys = SessionKeys::stated(&stated);
        Ok(Self(Transform::new(&keys, profile.rtp_tag_len())?))
    }

    /// Seals an RTP packet.
    pub fn seal_rtp(&mut self, plain: &[u8], index: u64) -> Result<Vec<u8>, SrtpError> {
        let header = RtpHeader::parse(plain, 0)?;
        let mut packet = with_room(plain, Profile::AeadAes128Gcm.rtp_overhead());
        self.0.seal_rtp(&mut packet, &header, index)?;
        Ok(packet)
    }

    /// Opens an SRTP packet.
    pub fn open_rtp(&mut self, protected: &[u8], index: u64) -> Result<Vec<u8>, SrtpError> {
        let overhead = Profile::AeadAes128Gcm.rtp_overhead();
        let header = RtpHeader::parse(protected, overhead)?;
        let mut packet = protected.to_vec();
        self.0.open_rtp(&mut packet, &header, index)?;
        packet.truncate(protected.len() - overhead);
        Ok(packet)
    }

    /// Seals an RTCP packet, with E = 1 if it is to be encrypted.
    pub fn seal_rtcp(
        &mut self,
        plain: &[u8],
        index: u32,
        is_encrypted: bool,
    ) -> Result<Vec<u8>, SrtpError> {
        let ssrc = rtcp_ssrc(plain, 0)?;
        let mut packet = with_room(plain, Profile::AeadAes128Gcm.rtcp_overhead());
        let word = SrtcpWord::new(index, is_encrypted);
        self.0.seal_rtcp(&mut packet, ssrc, word)?;
        Ok(packet)
    }

    /// Opens an SRTCP packet and returns it with its index.
    pub fn open_rtcp(&mut self, protected: &[u8]) -> Result<(Vec<u8>, u32), SrtpError> {
        let overhead = Profile::AeadAes128Gcm.rtcp_overhead();
        let ssrc = rtcp_ssrc(protected, overhead)?;
        let word = Profile::AeadAes128Gcm.srtcp_word(protected)?;
        let mut packet = protected.to_vec();
        self.0.open_rtcp(&mut packet, ssrc, word)?;
        packet.truncate(protected.len() - overhead);
        Ok((packet, word.index()))
    }
}

fn with_room(plain: &[u8], room: usize) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + room, 0);
    packet
}
