//! Raw TLS ingest: bytes from a proved peer through a socket pair.

mod kit;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{channel, Sender};
use std::time::Duration;

use kit::client::{Caller, Tls};
use kit::{wait_until, Front};
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

/// Whether a read waits for bytes: the flag of the open descriptor, as the kernel tells it.
fn blocks(reader: &UnixStream) -> bool {
    let path = format!("/proc/self/fdinfo/{}", reader.as_raw_fd());
    let text = std::fs::read_to_string(path).expect("the kernel tells about a descriptor");
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| i32::from_str_radix(octal.trim(), 8).ok());
    flags.expect("an octal number") & libc::O_NONBLOCK == 0
}

/// How long the kernel takes none of the bytes of a peer that is slowed down.
const SLOWED: Duration = Duration::from_millis(500);

/// Writes on and on, and tells once how far it came when the door took no more.
fn write_slowed(
    mut client: Tls,
    chunks: impl Iterator<Item = Vec<u8>>,
    slowed: &Sender<u64>,
) -> Tls {
    let timeout = |time| {
        let socket = client.get_ref().try_clone().expect("a second descriptor");
        socket.set_write_timeout(time).expect("a time limit");
    };
    timeout(Some(SLOWED));
    let mut written = 0;
    for chunk in chunks {
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            match client.write(rest) {
                Ok(len) => {
                    written += len as u64;
                    rest = &rest[len..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // The test may have heard it before.
                    let _ = slowed.send(written);
                }
                Err(_) => return client,
            }
        }
    }
    client
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
    let front = Front::alone(Limits::default());
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
    let front = Front::alone(Limits::default());
    let (mut client, id) = publish(&front, front.ingest());
    let mut reader = take(&front, id);
    assert!(front.take_ingest(id).is_none());
    assert!(front.take_ingest(id + 1).is_none());
    assert!(blocks(&reader));
    client.write_all(b"late").expect("the bytes are taken");
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).expect("the bytes arrive");
    assert_eq!(&bytes, b"late");
    // What the reader writes goes to the peer.
    reader.write_all(b"back").expect("the bytes are taken");
    client.read_exact(&mut bytes).expect("the bytes come back");
    assert_eq!(&bytes, b"back");
}

#[test]
fn a_slow_reader_slows_the_peer_and_memory_stays_bounded() {
    let limits = Limits {
        ingest_idle: Duration::from_secs(2),
        ..Limits::default()
    };
    let front = Front::alone(limits);
    let address = front.ingest();
    let (client, id) = publish(&front, address);
    let before = resident_bytes();
    let total: u64 = 6_000_000;
    let (slowed, is_slowed) = channel();
    let writer = std::thread::spawn(move || {
        let chunks = (0..total).step_by(2_000);
        let chunks = chunks.map(|from| numbered(from, 2_000));
        let mut client = write_slowed(client, chunks, &slowed);
        client.shutdown().expect("a close_notify");
        client
    });
    let last = is_slowed.recv().expect("the peer is slowed down");
    // It stands still for longer than the idle limit, as one finds out that is idle, and is not
    // called idle.
    let (_silent, silent_id) = publish(&front, address);
    assert_eq!(front.closed(silent_id).0, "TLS.IDLE");
    assert!(front.facts(id).is_some());
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
    let limits = Limits {
        ingest_idle: Duration::from_secs(1),
        ..Limits::default()
    };
    let front = Front::alone(limits);
    let (mut client, id) = publish(&front, front.ingest());
    client.write_all(b"one").expect("the bytes are taken");
    let (code, _, bytes_in, _) = front.closed(id);
    assert_eq!((code.as_str(), bytes_in), ("TLS.IDLE", 3));
    assert_eq!(front.counted("ingest-ts", "TLS.IDLE"), 1);
    assert_eq!(client.read(&mut [0; 4]).expect("a clean end"), 0);
}

#[test]
fn the_node_can_end_a_connection_with_a_code() {
    let front = Front::alone(Limits::default());
    let address = front.ingest();
    let (mut client, id) = publish(&front, address);
    let mut reader = take(&front, id);
    front.close_connection(id, "STREAM.TAKEN_OVER");
    front.close_connection(id, "TOO.LATE");
    assert_eq!(reader.read(&mut [0; 4]).expect("a clean end"), 0);
    assert_eq!(client.read(&mut [0; 4]).expect("a clean end"), 0);
    assert_eq!(front.closed(id).0, "STREAM.TAKEN_OVER");

    // Even while the reader does not read.
    let (client, id) = publish(&front, address);
    let (slowed, is_slowed) = channel();
    let chunks = std::iter::repeat_with(|| vec![0; 60_000]);
    let writer = std::thread::spawn(move || drop(write_slowed(client, chunks, &slowed)));
    is_slowed.recv().expect("the peer is slowed down");
    front.close_connection(id, "not a code");
    assert_eq!(front.closed(id).0, "NODE.CLOSED_BY_NODE");
    writer.join().expect("the writer");
}

#[test]
fn a_reader_that_goes_away_ends_the_connection() {
    let front = Front::alone(Limits::default());
    let (mut client, id) = publish(&front, front.ingest());
    drop(take(&front, id));
    let (code, detail, ..) = front.closed(id);
    assert_eq!(code, "NODE.CLOSED_BY_NODE");
    assert!(detail.contains("reader"), "{detail}");
    assert_eq!(client.read(&mut [0; 4]).expect("a clean end"), 0);
}

#[test]
fn an_end_without_close_notify_is_told_apart() {
    let front = Front::alone(Limits::default());
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
    let limits = Limits {
        events: 2,
        ..Limits::default()
    };
    let front = Front::alone(limits);
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
