//! Nanoseconds a packet, one core: `cargo run --release -p sealcast-srtp --example speed`.
//!
//! Each figure is the fastest of several rounds over a batch of packets that fits the L2 cache.

use std::hint::black_box;
use std::time::Instant;

use sealcast_srtp::{KeyReuse, MasterKey, Options, Profile, Receiver, Sender};

const PACKETS: usize = 256;
const ROUNDS: usize = 200;

fn main() {
    println!(
        "{:20} {:>7} {:>10} {:>10}",
        "profile", "payload", "protect", "unprotect"
    );
    for profile in Profile::ALL
        .into_iter()
        .filter(|profile| profile.encrypts())
    {
        for payload in [160, 1200] {
            let (protect, unprotect) = measure(profile, payload);
            println!(
                "{:20} {payload:>7} {protect:>7.0} ns {unprotect:>7.0} ns",
                profile.name()
            );
        }
    }
}

/// The fastest round of each direction, in nanoseconds a packet.
fn measure(profile: Profile, payload: usize) -> (f64, f64) {
    let key = || {
        MasterKey::new(
            profile,
            &[7; 32][..profile.key_len()],
            &[9; 14][..profile.salt_len()],
        )
        .expect("the lengths are the profile's")
    };
    let mut sender = Sender::new(
        key(),
        Options {
            key_reuse: KeyReuse::ForTestsAndTools,
            ..Options::default()
        },
    )
    .expect("the only sender");
    let mut receiver = Receiver::new(key(), Options::default()).expect("a valid key");
    let len = 12 + payload;
    let room = len + sender.rtp_overhead();
    let mut buffer = vec![0_u8; PACKETS * room];
    let mut sequence = 0_u16;
    let (mut protect, mut unprotect) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        for packet in buffer.chunks_exact_mut(room) {
            packet[..2].copy_from_slice(&[0x80, 96]);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[8..12].copy_from_slice(&1_u32.to_be_bytes());
            sequence = sequence.wrapping_add(1);
        }
        let began = Instant::now();
        for packet in buffer.chunks_exact_mut(room) {
            black_box(sender.protect_rtp(packet, len)).expect("a new index");
        }
        protect = protect.min(began.elapsed().as_nanos() as f64 / PACKETS as f64);
        let began = Instant::now();
        for packet in buffer.chunks_exact_mut(room) {
            black_box(receiver.unprotect_rtp(packet)).expect("genuine");
        }
        unprotect = unprotect.min(began.elapsed().as_nanos() as f64 / PACKETS as f64);
    }
    (protect, unprotect)
}
