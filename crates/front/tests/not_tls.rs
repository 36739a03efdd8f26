//! Peers that speak something else, or nothing.

mod kit;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kit::client::{get, Caller};
use kit::{spec, wait_until, Front};
use sealcast_front::{Event, Limits};

fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).expect("the door listens");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time limit can be set");
    socket.write_all(bytes).expect("the bytes are taken");
    let mut answer = Vec::new();
    socket
        .read_to_end(&mut answer)
        .expect("the door closes without a reset");
    answer
}

#[test]
fn plain_http_gets_one_line_that_says_so() {
    let front = Front::alone(Limits::default());
    let address = front.https();
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /whip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\n\r\n",
    ] {
        let answer = String::from_utf8(say(address, request.as_bytes())).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(head.contains("Connection: close"), "{answer}");
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{answer}"
        );
        assert_eq!(body, "This port speaks HTTPS only: use https://\n");
        assert_eq!(front.failed().0, "TLS.PLAIN_HTTP");
    }
    assert_eq!(front.counted("public", "TLS.PLAIN_HTTP"), 4);
}

#[test]
fn other_protocols_are_recognised_and_get_no_answer() {
    let front = Front::alone(Limits::default());
    let address = front.door(spec("ingest-ts", "tls_ingest", "required"));
    let mut rtmp = vec![3];
    rtmp.resize(1537, 0);
    let cases: [(&str, &[u8]); 3] = [
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("RTMP", &rtmp),
        ("", b"\x00\x01\x02\x03\x04\x05\x06\x07garbage"),
    ];
    for (name, bytes) in cases {
        assert_eq!(say(address, bytes), b"", "{name} got an answer");
        let (code, detail) = front.failed();
        assert_eq!(code, "TLS.NOT_TLS", "{detail}");
        assert!(detail.contains(name), "{detail}");
    }
}

#[test]
fn a_peer_that_says_nothing_or_half_a_hello_is_given_up() {
    let limits = Limits {
        handshake: Duration::from_secs(1),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let address = front.https();
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let begun = Instant::now();
        say(address, bytes);
        assert!(begun.elapsed() >= Duration::from_millis(990));
        assert_eq!(front.failed().0, "TLS.TIMEOUT");
    }
    // One byte at a time does not buy more time: the door closes although more would come.
    let mut slow = TcpStream::connect(address).expect("the door listens");
    wait_until("a byte to be refused", || {
        std::thread::sleep(Duration::from_millis(20));
        slow.write_all(b"\x16").is_err()
    });
    wait_until("it to be given up", || {
        front.counters().doors["public"].handshaking == 0
    });
    let mut client = Caller::new(&front.ca).call(address);
    assert_eq!(get(&mut client, "/echo").status, 200);
}

#[test]
fn a_peer_that_leaves_in_the_handshake_is_named() {
    let front = Front::alone(Limits::default());
    let address = front.https();
    drop(TcpStream::connect(address).expect("the door listens"));
    assert_eq!(front.failed().0, "TLS.PEER_CLOSED");
}

#[test]
fn a_flood_of_failures_is_counted_in_full_and_told_in_part() {
    let front = Front::alone(Limits::default());
    let address = front.https();
    let begun = Instant::now();
    for _ in 0..200 {
        let mut socket = TcpStream::connect(address).expect("the door listens");
        socket
            .write_all(b"SSH-2.0-flood\r\n")
            .expect("the bytes are taken");
    }
    let mut told = 0;
    wait_until("each of them, told or not", || {
        let events = front.drain_events();
        let failures = events.iter();
        told += failures
            .filter(|event| matches!(event, Event::HandshakeFailed { .. }))
            .count() as u64;
        told + front.counters().events_dropped == 200
    });
    assert_eq!(front.counted("public", "TLS.NOT_TLS"), 200);
    let seconds = begun.elapsed().as_secs() + 2;
    assert!(
        (20..=20 * seconds).contains(&told),
        "{told} told in {seconds} s"
    );
}
