//! Media packets cost no allocation, in neither direction.

mod link;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use link::{Call, CLIENT, SERVER};
use sealcast_leg::Received;
use sealcast_srtp::Profile;

/// The system's allocator, which counts what this thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract;
// the counter is a thread-local without a destructor, so touching it does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promised us.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn protecting_and_opening_media_allocates_nothing_after_the_first_packet_of_an_ssrc() {
    for profile in Profile::of_dtls() {
        let mut call = Call::new();
        call.server.dtls.srtp_profiles = vec![profile];
        call.client.dtls.srtp_profiles = vec![profile];
        let mut world = call.connected();
        world.talk(1, 2);
        world.send_rtcp(SERVER);
        world.run(link::SECOND);

        let now = world.now;
        let [server, client] = &mut world.nodes;
        let (from, to) = (server.address, client.address);
        let mut buffer = [0; 1500];
        let before = ALLOCATIONS.with(Cell::get);
        let mut opened = 0;
        for sequence in 100_u16..1100 {
            buffer[..2].copy_from_slice(&[0x80, 96]);
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            buffer[8..12].copy_from_slice(&[0, 0, 0, 9]);
            let len = server.leg.protect_rtp(&mut buffer, 1200).expect("secured");
            if let Received::Rtp(plain) = client.leg.receive(now, to, from, &mut buffer[..len]) {
                opened += usize::from(plain.len() == 1200);
            }
            buffer[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 9]);
            let len = server.leg.protect_rtcp(&mut buffer, 100).expect("secured");
            if let Received::Rtcp(plain) = client.leg.receive(now, to, from, &mut buffer[..len]) {
                opened += usize::from(plain.len() == 100);
            }
        }
        let allocations = ALLOCATIONS.with(Cell::get) - before;
        assert_eq!((opened, allocations), (2000, 0), "{}", profile.name());
        assert!(world.nodes[CLIENT].closed().is_none());
    }
}
