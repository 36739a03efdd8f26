//! Packets protected or opened per second of processor time, in place, in one thread: the Rust side
//! of `benches/srtp.py`. Prints one JSON object.
//!
//! usage: throughput PROFILE-ID protect|unprotect LENGTH SECONDS
//!
//! Packets are made, and for opening also protected, outside of the measured time; none is opened
//! twice.

use std::error::Error;

use sealcast_srtp::{MasterKey, Options, Profile, Receiver, Sender};

const RING: u16 = 256;
const ROOM: usize = 2048;
const HEADER: usize = 12;
const SSRC: u32 = 0x5ea1_ca57;

/// The same key for every side of the benchmark: 0, 1, 2, … and a salt of 100, 101, …
fn key(profile: Profile) -> Result<MasterKey, Box<dyn Error>> {
    let key: Vec<u8> = (0..).take(profile.key_len()).collect();
    let salt: Vec<u8> = (100..).take(profile.salt_len()).collect();
    Ok(MasterKey::new(profile, &key, &salt)?)
}

fn lay_out(packet: &mut [u8], sequence: u16) {
    packet[..HEADER].fill(0);
    packet[..2].copy_from_slice(&[0x80, 96]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..HEADER].copy_from_slice(&SSRC.to_be_bytes());
    for (at, byte) in packet.iter_mut().enumerate().skip(HEADER) {
        *byte = at as u8;
    }
}

/// User and system time of this process (clock_gettime(2)).
fn cpu_seconds() -> f64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime writes one timespec where it is told to, and this one is ours.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(failed, 0, "Linux has this clock since 2.6.12");
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [id, direction, length, at_least] = arguments.as_slice() else {
        return Err("usage: throughput PROFILE-ID protect|unprotect LENGTH SECONDS".into());
    };
    let profile = Profile::from_id(id.parse()?).ok_or("no profile has this id")?;
    let unprotect = direction == "unprotect";
    let length: usize = length.parse()?;
    let at_least: f64 = at_least.parse()?;

    let mut sender = Sender::new(key(profile)?, Options::default())?;
    let mut receiver = Receiver::new(key(profile)?, Options::default())?;
    let protected_len = length + profile.rtp_overhead();
    let mut ring = vec![[0_u8; ROOM]; usize::from(RING)];
    let (mut packets, mut seconds, mut sequence) = (0_u64, 0.0, 1_u16);
    let mut first_tail = String::new();
    while seconds < at_least {
        for packet in &mut ring {
            lay_out(&mut packet[..length], sequence);
            sequence = sequence.wrapping_add(1);
        }
        let mut start = cpu_seconds();
        for packet in &mut ring {
            sender.protect_rtp(packet, length)?;
        }
        if packets == 0 {
            first_tail = ring[0][protected_len - 16..protected_len]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
        }
        if unprotect {
            start = cpu_seconds();
            for packet in &mut ring {
                receiver.unprotect_rtp(&mut packet[..protected_len])?;
            }
        }
        seconds += cpu_seconds() - start;
        packets += u64::from(RING);
    }
    println!(
        "{{\"packets\": {packets}, \"cpu_seconds\": {seconds:.6}, \"first_tail\": \"{first_tail}\"}}"
    );
    Ok(())
}
