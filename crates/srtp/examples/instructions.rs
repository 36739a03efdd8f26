//! The same work on every machine, for callgrind to count: `tests/instructions` runs it.
//!
//! Prints one line for each section: its name, and how many packets it worked on. A section lies
//! between two calls of [`next_section`], at which callgrind writes down what it has counted.
//! `primitive` is the cipher alone on the same bytes, without headers, indices, replay windows and
//! key management: what a count of ours is compared with.

use std::error::Error;

use boring::aead::{AeadCtx, Algorithm};
use boring::sha::Sha1;
use boring::symm::{Cipher, Crypter, Mode};
use sealcast_srtp::{KeyReuse, MasterKey, Options, Profile, Receiver, Sender};

const PROFILES: [Profile; 3] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmSha1_80,
];
const LENGTHS: [usize; 2] = [160, 1200];
const PACKETS: usize = 128;
const ROOM: usize = 2048;
const HEADER: usize = 12;

type Packet = [u8; ROOM];

/// Callgrind is told to write its count down whenever it enters this.
#[inline(never)]
fn next_section() {
    std::hint::black_box(());
}

/// Passes the packets through `work`. The first is no part of the count: a new SSRC allocates.
fn section(
    name: &str,
    profile: Profile,
    length: usize,
    packets: &mut [Packet],
    mut work: impl FnMut(&mut Packet) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (first, rest) = packets.split_first_mut().ok_or("no packets")?;
    work(first)?;
    next_section();
    for packet in &mut *rest {
        work(packet)?;
    }
    next_section();
    println!("{} {name} {length} {}", profile.name(), rest.len());
    Ok(())
}

fn key(profile: Profile) -> Result<MasterKey, Box<dyn Error>> {
    let (key, salt) = ([1; 32], [2; 14]);
    Ok(MasterKey::new(
        profile,
        &key[..profile.key_len()],
        &salt[..profile.salt_len()],
    )?)
}

fn packets() -> Vec<Packet> {
    let mut packets = vec![[0; ROOM]; PACKETS + 1];
    for (sequence, packet) in (0_u16..).zip(&mut packets) {
        packet[..HEADER].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    }
    packets
}

fn ours(profile: Profile, length: usize) -> Result<(), Box<dyn Error>> {
    let mut sender = Sender::new(
        key(profile)?,
        Options {
            key_reuse: KeyReuse::ForTestsAndTools,
            ..Options::default()
        },
    )?;
    let mut receiver = Receiver::new(key(profile)?, Options::default())?;
    let mut packets = packets();
    section("protect", profile, length, &mut packets, |packet| {
        sender.protect_rtp(packet, length)?;
        Ok(())
    })?;
    let protected_len = length + profile.rtp_overhead();
    section("unprotect", profile, length, &mut packets, |packet| {
        receiver.unprotect_rtp(&mut packet[..protected_len])?;
        Ok(())
    })
}

fn gcm(profile: Profile, length: usize) -> Result<(), Box<dyn Error>> {
    let algorithm = match profile.key_len() {
        32 => Algorithm::aes_256_gcm(),
        _ => Algorithm::aes_128_gcm(),
    };
    let mut context = AeadCtx::new_default_tag(&algorithm, &[1; 32][..profile.key_len()])?;
    section("primitive", profile, length, &mut packets(), |packet| {
        let (clear, rest) = packet.split_at_mut(HEADER);
        let (body, rest) = rest.split_at_mut(length - HEADER);
        context.seal_in_place_mut(&[3; 12], body, &mut rest[..16], clear)?;
        Ok(())
    })
}

/// The cipher runs on from packet to packet, as SRTP's must not; and one hash is half an HMAC.
fn counter_mode_and_sha1(profile: Profile, length: usize) -> Result<(), Box<dyn Error>> {
    let mut cipher = Crypter::new(
        Cipher::aes_128_ctr(),
        Mode::Encrypt,
        &[1; 16],
        Some(&[3; 16]),
    )?;
    let mut out = [0; ROOM];
    section("primitive", profile, length, &mut packets(), |packet| {
        cipher.update(&packet[HEADER..length], &mut out)?;
        let mut hash = Sha1::new();
        hash.update(&out[..length]);
        packet[..20].copy_from_slice(&hash.finish());
        Ok(())
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    for profile in PROFILES {
        for length in LENGTHS {
            if profile.is_aead() {
                gcm(profile, length)?;
            } else {
                counter_mode_and_sha1(profile, length)?;
            }
            ours(profile, length)?;
        }
    }
    Ok(())
}
