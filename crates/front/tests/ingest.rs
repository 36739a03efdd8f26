//! Raw TLS ingest: bytes from a proved peer through a socket pair.

mod kit;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use kit::client::{Caller, Tls};
use kit::{wait_until, Folder, Front};
use sealcast_front::Limits;

fn publish(front: &Front, address: std::net::SocketAddr) -> (Tls, u64) {
    let client = Caller::new(&front.ca)
        .presenting(front.ca.client("encoder/venue-1"))
        .call(address);
    (client, front.opened().0)
}

fn take(front: &Front, id: u64) -> UnixStream {
    let descriptor = front.take_ingest(id).expect("the reader's end waits");
    let reader = UnixStream::from(descriptor);
    reader
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time limit can be set");
    reader
}

/// Eight bytes that say where they stand.
fn numbered(from: u64, count: u64) -> Vec<u8> {
    (from..from + count).flat_map(u64::to_be_bytes).collect()
}

fn resident_bytes() -> usize {
    let mut text = String::new();
    File::open("/proc/self/statm")
        .and_then(|mut file| file.read_to_string(&mut text))
        .expect("the kernel tells our size");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}

#[test]
fn bytes_arrive_in_order_and_the_end_is_told() {
    let folder = Folder::new();
    let front = Front::start(&folder.socket(), Limits::default());
    let (mut client, id) = publish(&front, front.ingest());
    let mut reader = take(&front, id);
    let total = 1_000_000;
    let writer = std::thread::spawn(move || {
        for from in (0..total).step_by(10_000) {
            client
                .write_all(&numbered(from, 10_000))
                .expect("the bytes are taken");
        }
        client.shutdown().expect("a close_notify");
        client
    });
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("all bytes");
    assert!(
        bytes == numbered(0, total),
        "bytes are missing or out of order"
    );
    drop(writer.join().expect("the writer"));
    let (code, detail, bytes_in, bytes_out) = front.closed(id);
    assert_eq!(
        (code.as_str(), bytes_in, bytes_out),
        ("TLS.PEER_CLOSED", total * 8, 0)
    );
    assert!(detail.contains("close_notify"));
    assert!(front.facts(id).is_none());
}

#[test]
fn the_readers_end_is_taken_once_only_and_blocks() {
    let folder = Folder::new();
    let front = Front::start(&folder.socket(), Limits::default());
    let (mut client, id) = publish(&front, front.ingest());
    let mut reader = take(&front, id);
    assert!(front.take_ingest(id).is_none());
    assert!(front.take_ingest(id + 1).is_none());
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        client.write_all(b"late").expect("the bytes are taken");
        client
    });
    let mut bytes = [0; 4];
    reader
        .read_exact(&mut bytes)
        .expect("a blocking read waits");
    assert_eq!(&bytes, b"late");
    // What the reader writes goes to the peer.
    reader.write_all(b"back").expect("the bytes are taken");
    let mut client = late.join().expect("the writer");
    client.read_exact(&mut bytes).expect("the bytes come back");
    assert_eq!(&bytes, b"back");
}

#[test]
fn a_slow_reader_slows_the_peer_and_memory_stays_bounded() {
    let folder = Folder::new();
    let limits = Limits {
        ingest_idle: Duration::from_secs(2),
        ..Limits::default()
    };
    let front = Front::start(&folder.socket(), limits);
    let (mut client, id) = publish(&front, front.ingest());
    let before = resident_bytes();
    let total: u64 = 16_000_000;
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let progress = std::sync::Arc::clone(&sent);
    let writer = std::thread::spawn(move || {
        for from in (0..total).step_by(2_000) {
            client
                .write_all(&numbered(from, 2_000))
                .expect("the bytes are taken");
            progress.store((from + 2_000) * 8, std::sync::atomic::Ordering::Relaxed);
        }
        client.shutdown().expect("a close_notify");
        client
    });
    // It stands still, far from the end, for longer than the idle limit, and is not called idle.
    let mut last = u64::MAX;
    wait_until("the peer to be slowed down", || {
        let now = sent.load(std::sync::atomic::Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(700));
        std::mem::replace(&mut last, now) == now
    });
    std::thread::sleep(Duration::from_millis(2100));
    assert!(last < total * 8 / 2, "{last} bytes went nowhere");
    let grown = resident_bytes().saturating_sub(before);
    assert!(
        grown < 16 << 20,
        "{grown} bytes more while {last} were sent"
    );

    let mut reader = take(&front, id);
    let mut expected = 0;
    let mut bytes = vec![0; 80_000];
    while expected < total {
        reader
            .read_exact(&mut bytes)
            .expect("the bytes that waited");
        assert!(
            bytes == numbered(expected, 10_000),
            "bytes are missing or out of order"
        );
        expected += 10_000;
    }
    drop(writer.join().expect("the writer"));
    assert_eq!(front.closed(id).0, "TLS.PEER_CLOSED");
}

#[test]
fn a_peer_that_sends_nothing_is_idle() {
    let folder = Folder::new();
    let limits = Limits {
        ingest_idle: Duration::from_secs(1),
        ..Limits::default()
    };
    let front = Front::start(&folder.socket(), limits);
    let (mut client, id) = publish(&front, front.ingest());
    client.write_all(b"one").expect("the bytes are taken");
    let (code, _, bytes_in, _) = front.closed(id);
    assert_eq!((code.as_str(), bytes_in), ("TLS.IDLE", 3));
    assert_eq!(front.counted("ingest-ts", "TLS.IDLE"), 1);
    assert_eq!(client.read(&mut [0; 4]).expect("a clean end"), 0);
}

#[test]
fn the_node_can_end_a_connection_with_a_code() {
    let folder = Folder::new();
    let front = Front::start(&folder.socket(), Limits::default());
    let address = front.ingest();
    let (mut client, id) = publish(&front, address);
    let mut reader = take(&front, id);
    front.close_connection(id, "STREAM.TAKEN_OVER");
    front.close_connection(id, "TOO.LATE");
    assert_eq!(reader.read(&mut [0; 4]).expect("a clean end"), 0);
    assert_eq!(client.read(&mut [0; 4]).expect("a clean end"), 0);
    assert_eq!(front.closed(id).0, "STREAM.TAKEN_OVER");

    // Even while the reader does not read.
    let (mut client, id) = publish(&front, address);
    let writer = std::thread::spawn(move || while client.write_all(&[0; 60_000]).is_ok() {});
    std::thread::sleep(Duration::from_millis(200));
    front.close_connection(id, "not a code");
    assert_eq!(front.closed(id).0, "NODE.CLOSED_BY_NODE");
    writer.join().expect("the writer");
}

#[test]
fn a_reader_that_goes_away_ends_the_connection() {
    let folder = Folder::new();
    let front = Front::start(&folder.socket(), Limits::default());
    let (mut client, id) = publish(&front, front.ingest());
    drop(take(&front, id));
    let (code, detail, ..) = front.closed(id);
    assert_eq!(code, "NODE.CLOSED_BY_NODE");
    assert!(detail.contains("reader"), "{detail}");
    assert_eq!(client.read(&mut [0; 4]).expect("a clean end"), 0);
}

#[test]
fn an_end_without_close_notify_is_told_apart() {
    let folder = Folder::new();
    let front = Front::start(&folder.socket(), Limits::default());
    let (client, id) = publish(&front, front.ingest());
    client
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .expect("TCP ends");
    let (code, detail, ..) = front.closed(id);
    assert_eq!(code, "TLS.PEER_CLOSED");
    assert!(detail.contains("without close_notify"), "{detail}");
}

#[test]
fn a_connection_that_python_never_hears_of_is_refused() {
    let folder = Folder::new();
    let limits = Limits {
        events: 2,
        ..Limits::default()
    };
    let front = Front::start(&folder.socket(), limits);
    let address = front.ingest();
    let caller = Caller::new(&front.ca).presenting(front.ca.client("encoder"));
    let _first = caller.call(address);
    let _second = caller.call(address);
    wait_until("both to be announced", || front.facts(2).is_some());
    let mut third = caller.call(address);
    assert_eq!(third.read(&mut [0; 4]).expect("a clean end"), 0);
    wait_until("it to be counted", || {
        front.counted("ingest-ts", "FRONT.EVENTS_FULL") == 1
    });
    assert_eq!(front.drain_events().len(), 2);
}
