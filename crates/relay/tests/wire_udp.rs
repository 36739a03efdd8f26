//! UDP in batches over loopback: every datagram once, whole, in order, with both addresses.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sealcast_relay::udp::{
    local_addresses, RecvBatch, SendBatch, UdpSocket, MAX_DATAGRAM, RECEIVE_BATCH,
};

const BUFFER: usize = 1 << 20;

fn bind(address: &str) -> UdpSocket {
    UdpSocket::bind(address.parse().unwrap(), BUFFER).unwrap()
}

type Received = (SocketAddr, SocketAddr, Vec<u8>);

/// Receives until `count` datagrams came, two seconds at most.
fn receive(socket: &mut UdpSocket, count: usize) -> Vec<Received> {
    let mut batch = RecvBatch::new();
    let mut received = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(2);
    while received.len() < count && Instant::now() < deadline {
        if socket.receive(&mut batch).unwrap() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(batch.len() <= RECEIVE_BATCH);
        received.extend(
            batch
                .datagrams()
                .map(|d| (d.local, d.remote, d.bytes.to_vec())),
        );
    }
    received
}

fn datagram(index: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (index * 31 + at) as u8).collect()
}

/// Sends runs of many shapes from `ip` to two sockets and checks that all arrives.
fn assert_all_arrive(ip: &str, segmentation: bool) {
    let mut sender = bind(&format!("{ip}:0"));
    if !segmentation {
        sender.disable_segmentation();
    }
    let mut receivers = [bind(&format!("{ip}:0")), bind(&format!("{ip}:0"))];
    let mut batch = SendBatch::new(BUFFER);
    let mut expected = [Vec::new(), Vec::new()];
    // Equal sizes, a shorter end, growth, change of destination, single bytes, more than 64 a run.
    let runs = [
        (0, 10, 1200),
        (0, 1, 300),
        (0, 1, 1200),
        (1, 90, 1000),
        (0, 3, 1),
        (1, 5, 1201),
    ];
    let mut index = 0;
    for (to, count, len) in runs {
        for _ in 0..count {
            let bytes = datagram(index, len);
            index += 1;
            assert!(batch.push(
                sender.local_address(),
                receivers[to].local_address(),
                &bytes
            ));
            expected[to].push(bytes);
        }
    }
    assert_eq!(batch.datagrams(), index);
    let report = sender.send(&mut batch);
    assert_eq!((report.sent, report.unsent, report.failed), (index, 0, 0));
    assert!(batch.is_empty());
    let counters = sender.counters();
    assert_eq!(counters.sent as usize, index);
    if segmentation && counters.segmentation_refused == 0 {
        assert_eq!(counters.send_calls, 1, "few messages fit into one call");
        assert!(counters.segmented > 100);
    } else {
        assert_eq!(counters.segmented, 0);
    }
    for (receiver, expected) in receivers.iter_mut().zip(expected) {
        let received = receive(receiver, expected.len());
        assert_eq!(received.len(), expected.len());
        for ((local, remote, bytes), expected) in received.into_iter().zip(expected) {
            assert_eq!(bytes, expected);
            assert_eq!(
                (local, remote),
                (receiver.local_address(), sender.local_address())
            );
        }
        assert_eq!(receiver.counters().truncated, 0);
    }
}

#[test]
fn all_datagrams_arrive_over_ipv4_with_and_without_segmentation() {
    assert_all_arrive("127.0.0.1", true);
    assert_all_arrive("127.0.0.1", false);
}

#[test]
fn all_datagrams_arrive_over_ipv6_with_and_without_segmentation() {
    assert_all_arrive("[::1]", true);
    assert_all_arrive("[::1]", false);
}

#[test]
fn a_wildcard_socket_knows_the_asked_address_and_answers_from_it() {
    for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.5"), ("[::]:0", "::1")] {
        let mut server = bind(wildcard);
        let mut client = bind(if asked.contains(':') {
            "[::1]:0"
        } else {
            "127.0.0.1:0"
        });
        let asked = SocketAddr::new(asked.parse().unwrap(), server.local_address().port());
        let unbound = SocketAddr::new(client.local_address().ip(), 0);
        let mut batch = SendBatch::new(4096);
        assert!(batch.push(unbound, asked, b"question"));
        assert_eq!(client.send(&mut batch).sent, 1);
        let (local, remote, _) = receive(&mut server, 1).remove(0);
        assert_eq!((local, remote), (asked, client.local_address()));

        assert!(batch.push(local, remote, b"answer") && batch.push(local, remote, b"answer"));
        assert_eq!(server.send(&mut batch).sent, 2);
        for (_, from, bytes) in receive(&mut client, 2) {
            assert_eq!((from, &bytes[..]), (asked, &b"answer"[..]));
        }
    }
}

#[test]
fn both_families_share_a_port() {
    let v4 = bind("0.0.0.0:0");
    let port = v4.local_address().port();
    // Another process may hold the port on IPv6: then there is nothing to see here.
    if let Ok(v6) = UdpSocket::bind(SocketAddr::new("::".parse().unwrap(), port), BUFFER) {
        assert_eq!(v6.local_address().port(), port);
    }
}

#[test]
fn a_datagram_too_long_is_dropped_and_counted() {
    let mut sender = bind("127.0.0.1:0");
    let mut receiver = bind("127.0.0.1:0");
    let mut batch = SendBatch::new(1 << 16);
    let to = receiver.local_address();
    for len in [MAX_DATAGRAM + 1, MAX_DATAGRAM, 5] {
        assert!(batch.push(sender.local_address(), to, &datagram(0, len)));
    }
    assert_eq!(sender.send(&mut batch).sent, 3);
    let lens: Vec<usize> = receive(&mut receiver, 2)
        .iter()
        .map(|(_, _, b)| b.len())
        .collect();
    assert_eq!(lens, [MAX_DATAGRAM, 5]);
    assert_eq!(receiver.counters().truncated, 1);
}

#[test]
fn a_refused_destination_harms_no_other() {
    let mut sender = bind("127.0.0.1:0");
    let mut receiver = bind("127.0.0.1:0");
    let mut batch = SendBatch::new(1 << 16);
    let (from, to) = (sender.local_address(), receiver.local_address());
    let other_family: SocketAddr = "[::1]:9".parse().unwrap();
    assert!(batch.push(from, to, b"before"));
    for _ in 0..3 {
        assert!(batch.push(from, other_family, b"nowhere"));
    }
    assert!(batch.push(from, to, b"after"));
    let report = sender.send(&mut batch);
    assert_eq!((report.sent, report.unsent, report.failed), (2, 0, 3));
    let bytes: Vec<Vec<u8>> = receive(&mut receiver, 2).into_iter().map(|r| r.2).collect();
    assert_eq!(bytes, [b"before".to_vec(), b"after".to_vec()]);
}

#[test]
fn a_full_batch_says_so_and_a_foreign_commit_is_ignored() {
    let (from, to) = (
        "127.0.0.1:1".parse().unwrap(),
        "127.0.0.1:2".parse().unwrap(),
    );
    let mut batch = SendBatch::new(100);
    assert!(batch.push(from, to, &[1; 60]));
    assert!(!batch.push(from, to, &[2; 60]));
    assert!(batch.reserve(41).is_none());
    batch.commit(from, to, 41);
    batch.commit(from, to, 0);
    assert_eq!(batch.datagrams(), 1);
    assert_eq!(batch.destinations().collect::<Vec<_>>(), [(to, 1)]);
    batch.clear();
    assert!(batch.reserve(100).is_some());
}

#[test]
fn what_the_kernel_has_no_room_for_stays_in_the_batch_in_order() {
    let mut sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
    let receiver = bind("127.0.0.1:0");
    let (from, to) = (sender.local_address(), receiver.local_address());
    let mut batch = SendBatch::new(BUFFER);
    let mut next = 0_u16;
    // Loopback delivers within the call, so the kernel may never run out of room: what matters is
    // that the sums are right whether it does or not.
    for _ in 0..10 {
        while batch.push(from, to, &next.to_be_bytes().repeat(500)) {
            next = next.wrapping_add(1);
        }
        let queued = batch.datagrams();
        let report = sender.send(&mut batch);
        assert_eq!(report.sent + report.unsent + report.failed, queued);
        assert_eq!(batch.datagrams(), report.unsent);
    }
}

#[test]
fn granted_buffers_are_known() {
    let socket = bind("127.0.0.1:0");
    assert!((1..=2 * BUFFER).contains(&socket.receive_buffer()));
    assert!((1..=2 * BUFFER).contains(&socket.send_buffer()));
}

#[test]
fn a_wildcard_is_reachable_at_its_interfaces_addresses() {
    let bound: SocketAddr = "127.0.0.1:5004".parse().unwrap();
    assert_eq!(local_addresses(bound).unwrap(), [bound]);
    for wildcard in ["0.0.0.0:5004", "[::]:5004"] {
        let wildcard: SocketAddr = wildcard.parse().unwrap();
        let found = local_addresses(wildcard).unwrap();
        for address in &found {
            assert_eq!(
                (address.port(), address.is_ipv4()),
                (5004, wildcard.is_ipv4())
            );
            assert!(!address.ip().is_unspecified());
        }
        let loopback = |address: &&SocketAddr| IpAddr::is_loopback(&address.ip());
        let loopbacks = found.iter().filter(loopback).count();
        assert!(
            loopbacks == 0 || loopbacks == found.len(),
            "loopback only if nothing else"
        );
    }
}
