//! Packets and pairs of contexts for the tests of this directory.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::atomic::{AtomicU64, Ordering};

use sealcast_srtp::{MasterKey, Mki, NullCipher, Options, Profile, Receiver, Sender, SrtpError};

/// Key material that no other test of the process has: it knows of every living sender.
pub struct Material([u8; 32]);

impl Material {
    pub fn fresh() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Self(bytes)
    }

    pub fn key(&self, profile: Profile) -> MasterKey {
        MasterKey::new(
            profile,
            &self.0[..profile.key_len()],
            &[9; 14][..profile.salt_len()],
        )
        .expect("the lengths come from the profile")
    }
}

/// The default options, and the profiles that only tests may have.
pub fn options() -> Options {
    Options {
        null_cipher: NullCipher::ForTestsAndTools,
        ..Options::default()
    }
}

pub fn pair(profile: Profile) -> (Sender, Receiver) {
    pair_with(profile, &Mki::default(), &options())
}

pub fn pair_with(profile: Profile, mki: &Mki, options: &Options) -> (Sender, Receiver) {
    let material = Material::fresh();
    let sender = Sender::with_mki(mki.clone(), material.key(profile), options.clone());
    let receiver = Receiver::with_mki(mki.clone(), material.key(profile), options.clone());
    (
        sender.expect("the engine takes the key"),
        receiver.expect("the engine takes the key"),
    )
}

pub fn mki(bytes: &[u8]) -> Mki {
    Mki::new(bytes).expect("at most 128 bytes")
}

/// An RTP packet with `csrcs` contributing sources and, maybe, an extension: its tag and its body.
pub fn rtp_with(
    ssrc: u32,
    sequence: u16,
    csrcs: u8,
    extension: Option<(u16, &[u8])>,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80 | csrcs, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0x12, 0x34]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(std::iter::repeat_n(0xc5, 4 * usize::from(csrcs)));
    if let Some((tag, body)) = extension {
        packet[0] |= 0x10;
        packet.extend(tag.to_be_bytes());
        let words = u16::try_from(body.len() / 4).expect("a short extension");
        packet.extend(words.to_be_bytes());
        packet.extend(body);
    }
    packet.extend(payload);
    packet
}

pub fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    rtp_with(ssrc, sequence, 0, None, &sequence.to_be_bytes())
}

pub fn rtcp(ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(body);
    packet
}

pub fn protect_rtp(sender: &mut Sender, plain: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + sender.rtp_overhead(), 0);
    let len = sender.protect_rtp(&mut buffer, plain.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

pub fn protect_rtcp(sender: &mut Sender, plain: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + sender.rtcp_overhead(), 0);
    let len = sender.protect_rtcp(&mut buffer, plain.len())?;
    assert_eq!(len, buffer.len());
    Ok(buffer)
}

pub fn unprotect_rtp(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let len = receiver.unprotect_rtp(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

pub fn unprotect_rtcp(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let len = receiver.unprotect_rtcp(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}
