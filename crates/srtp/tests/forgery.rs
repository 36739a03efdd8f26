//! What an attacker without the key can change: nothing but counters. Memory is measured.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sealcast_srtp::{KeyDerivationRate, Options, Profile, Receiver, SrtpError, StreamStatistics};
use support::{
    mki, options, pair, pair_with, protect_rtcp, protect_rtp, rtcp, rtp, rtp_with, unprotect_rtcp,
    unprotect_rtp,
};

/// Counts what this thread asks the allocator for, and what it keeps.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static KEPT_BYTES: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; the counts are thread-local
// cells without destructors, which need no allocation themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        KEPT_BYTES.with(|kept| kept.set(kept.get() + layout.size() as i64));
        // SAFETY: the caller keeps `alloc`'s contract, which is this method's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        KEPT_BYTES.with(|kept| kept.set(kept.get() - layout.size() as i64));
        // SAFETY: the caller keeps `dealloc`'s contract, which is this method's own.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

fn kept_bytes(work: impl FnOnce()) -> i64 {
    let before = KEPT_BYTES.with(Cell::get);
    work();
    KEPT_BYTES.with(Cell::get) - before
}

/// All of a receiver that a packet could have changed, without the counts of refusals.
fn memory(receiver: &Receiver) -> Vec<StreamStatistics> {
    let without_refusals = |stream: StreamStatistics| StreamStatistics {
        replayed: 0,
        too_old: 0,
        authentication_failed: 0,
        ..stream
    };
    receiver.streams().map(without_refusals).collect()
}

#[test]
fn a_forged_packet_creates_no_stream_and_leaves_no_memory_behind() {
    for profile in Profile::ALL {
        let (_, mut receiver) = pair(profile);
        let mut rtp_packet = rtp_with(0, 1, 0, None, &[0xa5; 60]);
        let mut rtcp_packet = rtcp(0, &[0xa5; 60]);
        // With E = 1, so that it is the tag that fails.
        let word_at = rtcp_packet.len() - profile.rtcp_overhead();
        rtcp_packet[word_at..].fill(0xa5);
        let kept = kept_bytes(|| {
            for ssrc in 0_u32..1000 {
                rtp_packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
                let refused = receiver.unprotect_rtp(&mut rtp_packet);
                assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
                rtcp_packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
                let refused = receiver.unprotect_rtcp(&mut rtcp_packet);
                assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
            }
        });
        assert_eq!(kept, 0, "{}", profile.name());
        assert_eq!(receiver.streams().count(), 0);
        let refused = receiver.totals().refused(SrtpError::AuthenticationFailed);
        assert_eq!(refused, 2000);
    }
}

#[test]
fn a_known_stream_costs_no_allocation_in_either_direction() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile);
        let mut buffer = [0; 200];
        let mut roundtrip = |sequence: u16| {
            let plain = [
                0x80,
                96,
                (sequence >> 8) as u8,
                sequence as u8,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                1,
            ];
            buffer[..12].copy_from_slice(&plain);
            let len = sender.protect_rtp(&mut buffer, 100).expect("a new index");
            let len = receiver.unprotect_rtp(&mut buffer[..len]);
            assert_eq!(len, Ok(100));
        };
        roundtrip(0);
        assert_eq!(allocations(|| (1..1000).for_each(&mut roundtrip)), 0);
    }
}

#[test]
fn mangled_copies_of_a_genuine_packet_change_nothing_and_the_packet_still_opens() {
    let rate = KeyDerivationRate::new(4).expect("a power of two");
    let rated = Options {
        key_derivation_rate: rate,
        ..options()
    };
    for profile in Profile::ALL {
        for options in [&options(), &rated] {
            let (mut sender, mut receiver) = pair_with(profile, &mki(b"ab"), options);
            for sequence in 0..20 {
                let packet = protect_rtp(&mut sender, &rtp(1, sequence)).expect("a new index");
                assert!(unprotect_rtp(&mut receiver, &packet).is_ok());
                let report = protect_rtcp(&mut sender, &rtcp(1, b"report")).expect("a new index");
                assert!(unprotect_rtcp(&mut receiver, &report).is_ok());
            }
            let before = memory(&receiver);
            let plain = rtp_with(1, 20, 1, Some((0xbede, &[0x10, 1, 0, 0])), b"payload");
            let genuine = protect_rtp(&mut sender, &plain).expect("a new index");
            let report = protect_rtcp(&mut sender, &rtcp(1, b"report")).expect("a new index");

            for at in 0..8 * genuine.len() {
                let mut mangled = genuine.clone();
                mangled[at / 8] ^= 1 << (at % 8);
                assert!(unprotect_rtp(&mut receiver, &mangled).is_err(), "bit {at}");
            }
            for at in 0..8 * report.len() {
                let mut mangled = report.clone();
                mangled[at / 8] ^= 1 << (at % 8);
                assert!(unprotect_rtcp(&mut receiver, &mangled).is_err(), "bit {at}");
            }
            for len in 0..genuine.len() {
                assert!(unprotect_rtp(&mut receiver, &genuine[..len]).is_err());
            }
            for len in 0..report.len() {
                assert!(unprotect_rtcp(&mut receiver, &report[..len]).is_err());
            }
            let too_long = [genuine.clone(), vec![0; 70_000]].concat();
            let refused = unprotect_rtp(&mut receiver, &too_long);
            assert_eq!(refused, Err(SrtpError::Malformed));

            assert_eq!(memory(&receiver), before, "{}", profile.name());
            assert_eq!(unprotect_rtp(&mut receiver, &genuine), Ok(plain));
            let opened = unprotect_rtcp(&mut receiver, &report);
            assert_eq!(opened, Ok(rtcp(1, b"report")));
        }
    }
}
