//! From socket to socket: no allocation at all, once every stream is known.
//!
//! The stages of forwarding are called on this thread and their allocations counted; ICE checks and
//! handshakes, which allocate for their own datagrams a few times per second and leg, do not run
//! meanwhile because nobody ticks their timers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use super::{
    is_contiguous, paced, Publisher, Stand, AUDIO, AUDIO_TYPE, FRAME_INTERVAL, FRAME_PACKETS,
    RTX_TYPE, VIDEO,
};
use crate::clock::monotonic_ns;
use crate::rtcp::SenderReportFields;
use crate::sink::sink;

/// The system's allocator, which counts what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

impl Counting {
    fn note() {
        // A thread that ends may allocate after its locals are gone; nobody counts there.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    }
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract;
// the counter is a thread-local without a destructor, so touching it does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::note();
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Counting::note();
        // SAFETY: as the caller promised us.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Counting::note();
        // SAFETY: as the caller promised us.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs the forwarding stages and returns how often they allocated.
fn allocations_of_forwarding(stand: &mut Stand) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    stand.shard.forward(stand.now);
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_allocator_counts() {
    let before = ALLOCATIONS.with(Cell::get);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 1);
}

#[test]
fn forwarding_to_fifty_viewers_allocates_nothing_losses_and_retransmissions_included() {
    const WARM_UP: usize = 40;
    const FRAMES: usize = 150;
    /// Every so many frames the publisher's link loses a packet of one.
    const LOSS_EVERY: usize = 3;
    const LOST: usize = 5;

    let mut stand = Stand::new();
    let mut publisher = stand.publisher();
    let mut viewers: Vec<_> = (0..50).map(|_| stand.viewer()).collect();
    stand.settle(std::iter::once(&mut publisher.peer).chain(&mut viewers));

    let (mut allocations, mut pictures, mut repeated, mut asked_upstream) = (0, 0, 0, 0);
    for frame in 0..WARM_UP + FRAMES {
        let mut counted = 0;
        let is_lossy = frame % LOSS_EVERY == 1;
        stand.now += FRAME_INTERVAL;
        let first = publisher.frame(frame % 30 == 0, |at| is_lossy && at == LOST);
        if frame % 10 == 0 {
            publisher.peer.send_rtcp(|writer| {
                let fields = SenderReportFields {
                    ssrc: Publisher::SSRC,
                    ntp: (frame as u64) << 32,
                    rtp_timestamp: 0,
                    packets: 0,
                    octets: 0,
                };
                assert!(writer.sender_report(&fields, &[]));
            });
        }
        counted += allocations_of_forwarding(&mut stand);

        // The lost packet is asked for, comes again and goes out late.
        stand.now += paced();
        counted += allocations_of_forwarding(&mut stand);
        if is_lossy {
            asked_upstream += 1;
            publisher.resend(first.wrapping_add(LOST as u16));
            counted += allocations_of_forwarding(&mut stand);
            stand.now += Duration::from_millis(2);
            counted += allocations_of_forwarding(&mut stand);
        }

        // Every viewer asks again for two packets, and sometimes for a key frame.
        for viewer in &mut viewers {
            viewer.take(stand.now);
            let numbers = viewer.taken_pictures();
            assert!(
                is_lossy || is_contiguous(&numbers),
                "frame {frame}: {numbers:?}"
            );
            assert_eq!(numbers.len(), FRAME_PACKETS, "frame {frame}");
            pictures += numbers.len();
            viewer.send_rtcp(|writer| {
                let media_ssrc = 0x1000_0000;
                assert_eq!(writer.nack(7, media_ssrc, numbers[2..4].iter().copied()), 2);
                assert!(frame % 20 != 0 || writer.pli(7, media_ssrc));
            });
        }
        counted += allocations_of_forwarding(&mut stand);
        for viewer in &mut viewers {
            viewer.take(stand.now);
            repeated += viewer.taken(RTX_TYPE).len();
        }
        publisher.peer.take(stand.now);
        // The first frames make the streams known and every list as long as it gets.
        if frame >= WARM_UP {
            allocations += counted;
        }
    }
    let frames = WARM_UP + FRAMES;
    assert_eq!(pictures, frames * FRAME_PACKETS * viewers.len());
    assert_eq!(repeated, frames * 2 * viewers.len(), "all were answered");
    let index = stand.shard.core.legs.index_of(publisher.peer.id);
    let entry = index.and_then(|index| stand.shard.core.legs.get(index));
    let incoming = entry.and_then(|entry| entry.incoming.as_ref());
    let upstream = incoming.expect("the publisher is there").statistics(0);
    assert_eq!(upstream.recovered, asked_upstream);
    assert!(upstream.nacked >= asked_upstream);
    assert_eq!(
        allocations,
        0,
        "for {} packets in and {} out",
        FRAMES * FRAME_PACKETS,
        FRAMES * (FRAME_PACKETS + 2) * viewers.len()
    );
}

#[test]
fn forwarding_the_frames_of_a_sink_allocates_nothing() {
    let mut stand = Stand::new();
    let mut viewers: Vec<_> = (0..5).map(|_| stand.viewer()).collect();
    stand.settle(viewers.iter_mut());
    let wake = std::sync::Arc::clone(&stand.shard.wake);
    let (camera, port) = sink(VIDEO, 100, std::sync::Arc::clone(&wake));
    stand.shard.core.add_sink(port);
    let (microphone, port) = sink(AUDIO, 100, wake);
    stand.shard.core.add_sink(port);

    let mut allocations = 0;
    let mut picture = vec![0, 0, 0, 1, 0x65, 0x88];
    picture.resize(9_000, 0x5a);
    for frame in 0..200_u64 {
        stand.now += FRAME_INTERVAL;
        let captured = monotonic_ns();
        camera
            .push(&picture, frame * 3_000, captured, true)
            .expect("the queue is empty");
        microphone
            .push(&[0xf8, 1, 2, 3], frame * 960, captured, true)
            .expect("the queue is empty");
        let counted = allocations_of_forwarding(&mut stand);
        if frame >= 40 {
            allocations += counted;
        }
        for viewer in &mut viewers {
            viewer.take(stand.now);
        }
    }
    for viewer in &mut viewers {
        let pictures = viewer.taken_pictures();
        assert!(pictures.len() > 1_400 && is_contiguous(&pictures));
        assert_eq!(viewer.taken(AUDIO_TYPE).len(), 200);
    }
    assert_eq!(allocations, 0);
}
