//! From socket to socket: no allocation per packet on the shard's thread.
//!
//! A counting allocator looks at the name of the allocating thread. The publisher's and the
//! viewers' relays live in the same process under other names.

mod two_relays;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sealcast_relay::spec::LegSide;
use two_relays::*;

/// The first bytes of the watched thread's name.
const WATCHED: &[u8; 8] = b"watched\0";

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is the watched one, once it was asked.
    static IS_WATCHED: Cell<Option<bool>> = const { Cell::new(None) };
}

struct Counting;

impl Counting {
    fn note() {
        let is_watched = IS_WATCHED.try_with(|known| {
            let found = known.get().unwrap_or_else(|| {
                let mut name = [0_u8; 16];
                // SAFETY: PR_GET_NAME writes at most 16 bytes, which the buffer has.
                unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
                name.starts_with(WATCHED)
            });
            // A thread is named right after its start: until then the answer may change.
            if found {
                known.set(Some(true));
            }
            found
        });
        if is_watched == Ok(true) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::note();
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Counting::note();
        // SAFETY: the caller's contract is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn forwarding_allocates_nothing_per_packet() {
    let (publisher, server) = (relay("publisher"), relay("watched"));
    let viewers: Vec<_> = (0..4).map(|_| relay("viewer")).collect();
    connect(&publisher, &server, 1, LegSide::Client, &Terms::default());
    for (viewer, id) in viewers.iter().zip(10..) {
        connect(&server, viewer, id, LegSide::Server, &Terms::default());
        wait_sealed(&[viewer], id);
    }
    wait_sealed(&[&publisher, &server], 1);
    let mut camera = Camera::new(&publisher, 100, 8_000);
    let mut shoot = |frames: usize| {
        for _ in 0..frames {
            camera.shoot();
            std::thread::sleep(Duration::from_millis(4));
        }
    };
    let count = || ALLOCATIONS.load(Ordering::Relaxed);
    let sent = || {
        let snapshot = server
            .snapshot(Duration::from_secs(2))
            .expect("the shard answers");
        snapshot.sockets[0].datagrams_out
    };
    // Every buffer reaches its size, every counter its place.
    shoot(150);
    let sent_before = sent();
    // ICE keeps its consent fresh and allocates for it, a few times a second and per leg, never per
    // packet. So time is cut into slices in which hundreds of packets flow, and most of them must
    // be free of allocations.
    let (mut slices, mut clean, mut allocations) = (0, 0, 0);
    for _ in 0..60 {
        let before = count();
        shoot(4);
        let made = count() - before;
        slices += 1;
        clean += u64::from(made == 0);
        allocations += made;
    }
    let packets = sent() - sent_before;
    println!(
        "{allocations} allocations in {} of {slices} slices; {packets} packets to 4 viewers",
        slices - clean
    );
    assert!(packets > 5_000, "only {packets} packets were sent");
    assert!(
        clean * 2 > slices,
        "only {clean} of {slices} slices without an allocation"
    );
    assert!(
        allocations * 20 < packets,
        "{allocations} allocations for {packets} packets"
    );
}
