//! A socket for whose packets the kernel has no room: everything waits, in order, and is counted.

use std::time::{Duration, Instant};

use super::{is_contiguous, Peer, Stand, FRAME_INTERVAL, FRAME_PACKETS};
use crate::codes as code;
use crate::ports::Port;

/// STUN transaction identifiers are the last twelve bytes of the header (RFC 8489 §5).
fn transaction(message: &[u8]) -> [u8; 12] {
    let mut id = [0; 12];
    id.copy_from_slice(&message[8..20]);
    id
}

/// Lets the peer's ICE agent send a check that is due, and returns its transaction.
fn send_check(peer: &mut Peer, stand: &mut Stand) -> Vec<[u8; 12]> {
    let mut sent = Vec::new();
    peer.leg.tick(stand.now);
    while let Some(output) = peer.leg.poll() {
        if let sealcast_leg::Output::Transmit {
            remote, datagram, ..
        } = output
        {
            if datagram[0] < 4 && datagram[1] == 1 {
                sent.push(transaction(&datagram));
            }
            peer.send_raw(remote, &datagram);
        }
    }
    sent
}

fn shared(stand: &mut Stand) -> &mut Port {
    let port = stand.shard.ports.get_mut(0);
    port.expect("a relay has the sockets that it was bound to")
}

fn set_full(stand: &mut Stand, is_full: bool) {
    shared(stand).socket.is_full = is_full;
}

/// The pictures of a viewer, once `count` packets have arrived: a busy kernel hands over even what
/// stays on the machine a moment after it was sent.
fn pictures(viewer: &mut Peer, now: Instant, count: usize) -> Vec<u16> {
    let patience = Instant::now() + Duration::from_secs(5);
    let mut numbers = viewer.taken_pictures();
    while numbers.len() < count && Instant::now() < patience {
        viewer.take(now);
        numbers.extend(viewer.taken_pictures());
    }
    numbers
}

#[test]
fn a_congested_socket_delays_media_and_loses_none_and_keeps_the_order_of_checks() {
    let mut stand = Stand::new();
    let mut publisher = stand.publisher();
    let mut viewers: Vec<_> = (0..40).map(|_| stand.viewer()).collect();
    stand.settle(std::iter::once(&mut publisher.peer).chain(&mut viewers));
    stand.now += FRAME_INTERVAL;
    publisher.frame(true, |_| false);
    stand.work();
    for viewer in &mut viewers {
        let numbers = pictures(viewer, stand.now, FRAME_PACKETS);
        assert_eq!(numbers.len(), FRAME_PACKETS);
    }

    // One frame to forty viewers is more than the batch of the socket holds.
    set_full(&mut stand, true);
    let frames = 60;
    let mut asked = vec![Vec::new(); viewers.len()];
    for _ in 0..frames {
        stand.now += FRAME_INTERVAL * 4;
        publisher.frame(false, |_| false);
        stand.work();
        for (viewer, asked) in viewers.iter_mut().zip(&mut asked) {
            asked.extend(send_check(viewer, &mut stand));
            assert!(viewer.take(stand.now).is_empty(), "nothing can have left");
        }
    }
    let (address, counters) = {
        let port = shared(&mut stand);
        assert!(port.is_congested());
        (port.socket.local_address(), port.socket.counters())
    };
    assert!(counters.would_block > 0);
    assert!(asked.iter().flatten().count() >= viewers.len(), "{asked:?}");

    set_full(&mut stand, false);
    let mut answers = vec![Vec::new(); viewers.len()];
    for _ in 0..400 {
        stand.now += Duration::from_millis(5);
        stand.work();
        for (viewer, answers) in viewers.iter_mut().zip(&mut answers) {
            let others = viewer.take(stand.now);
            let is_response = |datagram: &&Vec<u8>| datagram[0] == 1 && datagram[1] == 1;
            answers.extend(
                others
                    .iter()
                    .filter(is_response)
                    .map(|datagram| transaction(datagram)),
            );
        }
    }
    assert!(!stand.shard.ports.is_congested(0), "{address}");
    for (at, viewer) in viewers.iter_mut().enumerate() {
        let numbers = pictures(viewer, stand.now, frames * FRAME_PACKETS);
        assert_eq!(numbers.len(), frames * FRAME_PACKETS, "viewer {at}");
        assert!(is_contiguous(&numbers), "viewer {at}");
        assert_eq!(answers[at], asked[at], "viewer {at}: every check, in order");
        for code in [code::SEND_WOULD_BLOCK, code::VIEWER_LAGGED] {
            assert_eq!(stand.drops(viewer.id, code), 0, "viewer {at}: {code}");
        }
    }
}

#[test]
fn what_finds_no_room_at_all_is_counted_under_its_code() {
    let mut stand = Stand::new();
    let mut viewer = stand.viewer();
    stand.settle(std::iter::once(&mut viewer));
    set_full(&mut stand, true);
    let (address, local) = (stand.address(), viewer.socket.local_addr());
    let local = local.expect("it is bound");
    let mut queued = 0;
    let refused = loop {
        match stand.shard.ports.transmit(address, local, &[22; 1_200]) {
            Ok(()) => queued += 1,
            Err(code) => break code,
        }
        assert!(queued < 10_000, "the batch is bounded");
    };
    assert_eq!(refused, code::SEND_WOULD_BLOCK);
    set_full(&mut stand, false);
    stand.work();
    assert_eq!(shared(&mut stand).socket.counters().failed, 0);
    assert!(stand
        .shard
        .ports
        .transmit(address, local, &[22; 1_200])
        .is_ok());
}
