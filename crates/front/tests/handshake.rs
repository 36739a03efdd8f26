//! The way into a door: how long it took, and who may hold how many of its places.

mod kit;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kit::client::{Caller, Tls};
use kit::{wait_until, Front};
use sealcast_front::Limits;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

const PAUSE: Duration = Duration::from_millis(200);

fn unix_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(now.as_millis()).expect("before the year 500 million")
}

fn milliseconds(value: &Value) -> f64 {
    let value = value.as_f64().expect("a number of milliseconds");
    assert!(value >= 0.0 && value.is_finite(), "{value}");
    value
}

fn encoder(front: &Front) -> Caller {
    Caller::new(&front.ca).presenting(front.ca.client("encoder"))
}

fn handshaking(front: &Front) -> usize {
    front.counters().doors["ingest-ts"].handshaking
}

fn open(front: &Front) -> usize {
    front.counters().doors["ingest-ts"].open
}

/// Sleeps, and says for how long at least.
fn pause() -> f64 {
    let begun = Instant::now();
    std::thread::sleep(PAUSE);
    begun.elapsed().as_secs_f64() * 1000.0
}

/// A TCP connection from an address of our choice.
fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::new(from.parse().expect("an address"), 0);
    socket.bind(&from.into()).expect("all of 127/8 is ours");
    socket.connect(&to.into()).expect("the door listens");
    socket.into()
}

/// Says hello over a connection that exists.
fn say_hello(caller: &Caller, socket: TcpStream) -> Tls {
    caller.try_over(socket).expect("the handshake succeeds")
}

#[test]
fn a_client_that_waits_before_its_hello_shows_in_the_handshakes_time() {
    let front = Front::alone(Limits::default());
    let address = front.ingest();
    let before = unix_ms();
    let socket = TcpStream::connect(address).expect("the door listens");
    wait_until("the handshake to begin", || handshaking(&front) == 1);
    let waited = pause();
    let _client = say_hello(&encoder(&front), socket);

    let event = front.told("connection_opened");
    let after = unix_ms();
    let timing = &event["timing"];
    assert!(milliseconds(&timing["handshake_ms"]) >= waited, "{timing}");
    milliseconds(&timing["queued_ms"]);
    let accepted = timing["accepted_unix_ms"].as_u64().expect("milliseconds");
    assert!((before..=after).contains(&accepted), "{accepted}");

    // Whoever asks for the facts is told the same.
    let id = event["connection"].as_u64().expect("an id");
    let facts = front.facts(id).expect("it is open");
    let facts = serde_json::to_value(&facts).expect("facts are JSON");
    assert_eq!(&facts["timing"], timing);
    let names: Vec<&String> = timing.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["accepted_unix_ms", "handshake_ms", "queued_ms"]);
}

#[test]
fn a_client_that_had_to_wait_for_its_turn_shows_in_the_queues_time() {
    let limits = Limits {
        handshakes_per_door: 1,
        ..Limits::default()
    };
    let front = Front::alone(limits);
    let address = front.ingest();
    let silent = TcpStream::connect(address).expect("the door listens");
    wait_until("it to take the only place", || handshaking(&front) == 1);
    let socket = TcpStream::connect(address).expect("the door listens");
    wait_until("the second to be accepted", || open(&front) == 2);
    let waited = pause();
    drop(silent);
    let _client = say_hello(&encoder(&front), socket);
    let event = front.told("connection_opened");
    let timing = &event["timing"];
    assert!(milliseconds(&timing["queued_ms"]) >= waited, "{timing}");
    milliseconds(&timing["handshake_ms"]);
}

#[test]
fn a_failed_handshake_says_how_long_it_took() {
    let front = Front::alone(Limits::default());
    let address = front.ingest();
    let mut socket = TcpStream::connect(address).expect("the door listens");
    wait_until("the handshake to begin", || handshaking(&front) == 1);
    let waited = pause();
    socket
        .write_all(b"SSH-2.0-late\r\n")
        .expect("the bytes are taken");
    let event = front.told("handshake_failed");
    assert_eq!(event["code"], "TLS.NOT_TLS");
    assert!(milliseconds(&event["elapsed_ms"]) >= waited, "{event}");
}

#[test]
fn one_address_holds_a_quarter_of_the_places_and_another_one_still_gets_in() {
    let limits = Limits {
        handshakes_per_door: 8,
        handshake: Duration::from_secs(4),
        ..Limits::default()
    };
    let front = Front::alone(limits);
    let address = front.ingest();
    let silent: Vec<_> = (0..8).map(|_| connect_from("127.0.0.1", address)).collect();
    wait_until("all to be accepted", || open(&front) == 8);
    wait_until("the share to be taken", || handshaking(&front) == 2);

    // All of the first address are still there: none has been given up yet.
    let _client = say_hello(&encoder(&front), connect_from("127.0.0.2", address));
    let (id, _) = front.opened();
    let peer = front.facts(id).expect("it is open").peer;
    assert!(peer.starts_with("127.0.0.2:"), "{peer}");
    assert_eq!(handshaking(&front), 2);

    wait_until("the crowd to be given up", || open(&front) == 1);
    // A place that times out may still pass to one that waits, for the moment that it has left.
    let timed_out = front.counted("ingest-ts", "TLS.TIMEOUT");
    let refused = front.counted("ingest-ts", "FRONT.TOO_MANY_HANDSHAKES");
    assert!(timed_out >= 2, "{timed_out}");
    assert_eq!(timed_out + refused, 8);
    drop(silent);
}

#[test]
fn an_address_that_takes_a_quarter_of_the_connections_unproved_is_refused_at_once() {
    let limits = Limits {
        connections_per_door: 16,
        handshakes_per_door: 8,
        // Far beyond the test: whoever is refused was not kept waiting.
        handshake: Duration::from_secs(600),
        ..Limits::default()
    };
    let front = Front::alone(limits);
    let address = front.ingest();
    let _held: Vec<_> = (0..4).map(|_| connect_from("127.0.0.1", address)).collect();
    wait_until("all to be accepted", || open(&front) == 4);
    let mut fifth = connect_from("127.0.0.1", address);
    assert!(matches!(fifth.read(&mut [0; 16]), Ok(0) | Err(_)));
    let (code, detail) = front.failed();
    assert_eq!(code, "FRONT.TOO_MANY_HANDSHAKES");
    assert!(detail.contains("4 connections of this address"), "{detail}");
    assert_eq!(front.counted("ingest-ts", "FRONT.TOO_MANY_HANDSHAKES"), 1);
    let _client = say_hello(&encoder(&front), connect_from("127.0.0.2", address));
    front.opened();
}
