//! Bodies of requests that the application takes out of HTTP: where their bytes go, who is told what
//! when they end, and what they must not cost anybody else.

mod kit;

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender as Feed};
use http_body_util::BodyExt;
use kit::app::{read_head, reply};
use kit::client::{exchange, get, read_answer, Caller, Tls};
use kit::{wait_until, Front};
use sealcast_front::{LastAnswer, Limits};
use serde_json::Value;

const CHUNKED: &str = "PUT /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked";

/// How the application answers the head of an upload.
enum Word {
    /// With the ticket.
    Took,
    /// With these bytes.
    Said(String),
}

/// A front before an application that asks the test what to do with each upload, and answers
/// everything else at once.
struct Taking {
    front: Front,
    address: SocketAddr,
    tickets: Receiver<u64>,
    word: Sender<Word>,
}

impl Taking {
    fn start(limits: Limits) -> Self {
        let (came, tickets) = channel();
        let (word, words) = channel::<Word>();
        let ends = Mutex::new((came, words));
        let front = Front::with_raw_app(limits, move |_, mut stream| {
            while let Some(head) = read_head(&mut stream) {
                if !head.contains(" /upload") {
                    reply(&mut stream, "ok");
                    continue;
                }
                let ends = ends.lock().expect("one upload at a time");
                let told = head
                    .lines()
                    .find_map(|line| line.strip_prefix("x-sealcast-body: "));
                let ticket: u64 = told.and_then(|text| text.parse().ok()).expect("a ticket");
                ends.0.send(ticket).expect("the test listens");
                let answer = match ends.1.recv().expect("the test says what to answer") {
                    Word::Took => format!(
                        "HTTP/1.1 202 Accepted\r\nx-sealcast-body: {ticket}\r\n\
                         Content-Length: 0\r\n\r\n"
                    ),
                    Word::Said(answer) => answer,
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self {
            address: front.https(),
            front,
            tickets,
            word,
        }
    }

    /// The ticket of the next upload.
    fn ticket(&self) -> u64 {
        self.tickets
            .recv_timeout(Duration::from_secs(10))
            .expect("an upload")
    }

    /// Takes the next upload.
    fn take(&self) -> (u64, UnixStream) {
        let ticket = self.ticket();
        let reader = self.reader(ticket);
        self.word.send(Word::Took).expect("the application waits");
        (ticket, reader)
    }

    fn reader(&self, ticket: u64) -> UnixStream {
        let taken = self.front.take_body(ticket).expect("a pair");
        let reader = UnixStream::from(taken.expect("the body waits"));
        reader
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time limit can be set");
        reader
    }

    fn say(&self, answer: &str) {
        let word = Word::Said(answer.to_owned());
        self.word.send(word).expect("the application waits");
    }

    fn answer(&self, ticket: u64, status: u16, code: &str) -> bool {
        let answer = LastAnswer {
            status,
            media_type: "application/problem+json".to_owned(),
            body: serde_json::to_vec(&serde_json::json!({ "code": code })).expect("JSON"),
        };
        self.front.answer_body(ticket, answer)
    }

    /// Code, detail, bytes of a body that is over.
    fn ended(&self, ticket: u64) -> (String, String, u64) {
        let told = self.front.told("body_ended");
        assert_eq!(told["ticket"], ticket);
        let text = |name: &str| told[name].as_str().expect("text").to_owned();
        let bytes = told["bytes_in"].as_u64().expect("a number");
        (text("code"), text("detail"), bytes)
    }

    fn client(&self) -> Tls {
        Caller::new(&self.front.ca).call(self.address)
    }
}

fn begin(client: &mut Tls, head: &str) {
    client
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .expect("the head is taken");
}

fn chunk(client: &mut Tls, bytes: &[u8]) {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    client.write_all(&framed).expect("the chunk is taken");
}

fn read(reader: &mut UnixStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    reader.read_exact(&mut bytes).expect("the bytes arrive");
    bytes
}

fn is_over(client: &mut impl Read) -> bool {
    matches!(client.read(&mut [0; 16]), Ok(0))
}

#[test]
fn a_taken_body_goes_to_its_reader_and_its_client_is_answered_when_that_is_done() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    let (ticket, mut reader) = taking.take();
    chunk(&mut client, b"first");
    assert_eq!(read(&mut reader, 5), b"first");
    chunk(&mut client, b"second");
    client.write_all(b"0\r\n\r\n").expect("the end is taken");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("a clean end");
    assert_eq!(rest, b"second");
    let (code, _, bytes) = taking.ended(ticket);
    assert_eq!((code.as_str(), bytes), ("TLS.PEER_CLOSED", 11));
    assert!(taking.answer(ticket, 200, "STREAM.ENDED"));
    let answer = read_answer(&mut client);
    assert_eq!(answer.problem(), "200 STREAM.ENDED");
    assert_eq!(answer.header("x-sealcast-body"), None);
    assert!(!taking.answer(ticket, 200, "TOO.LATE"));
    assert!(taking.front.take_body(ticket).expect("no fault").is_none());
    // The connection goes on, and so does one with a length.
    let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4";
    begin(&mut client, head);
    let (ticket, mut reader) = taking.take();
    client.write_all(b"more").expect("the body is taken");
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("a clean end");
    assert_eq!(all, b"more");
    assert!(taking.answer(ticket, 200, "STREAM.ENDED"));
    assert_eq!(read_answer(&mut client).status, 200);
    assert_eq!(get(&mut client, "/").body, b"ok");
}

#[test]
fn nothing_of_a_body_is_asked_for_before_it_was_taken_and_none_if_it_is_refused() {
    let taking = Taking::start(Limits::default());
    let expecting = format!("{CHUNKED}\r\nExpect: 100-continue");
    let mut client = taking.client();
    begin(&mut client, &expecting);
    let ticket = taking.ticket();
    let reader = taking.reader(ticket);
    let socket = client.get_ref().try_clone().expect("a second descriptor");
    let patience = |time| socket.set_read_timeout(Some(time)).expect("a time limit");
    patience(Duration::from_millis(100));
    let early = client.read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    taking.word.send(Word::Took).expect("the application waits");
    patience(Duration::from_secs(10));
    let go_on = kit::client::read_head(&mut client);
    assert_eq!(go_on, "HTTP/1.1 100 Continue\r\n\r\n");
    socket.shutdown(Shutdown::Both).expect("TCP ends");
    drop(reader);
    assert_eq!(taking.ended(ticket).0, "FRONT.BODY_BROKEN");

    let mut refused = taking.client();
    begin(&mut refused, &expecting);
    taking.ticket();
    taking.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answer = read_answer(&mut refused);
    assert_eq!((answer.status, answer.body.as_slice()), (403, &b"no"[..]));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(is_over(&mut refused));
    wait_until("its place to be free", || {
        taking.front.counters().app_connections == 0
    });
}

#[test]
fn a_client_that_sends_without_asking_hears_the_refusal_all_the_same() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    for _ in 0..8 {
        chunk(&mut client, &[0; 1 << 17]);
    }
    taking.ticket();
    taking.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(read_answer(&mut client).status, 403);
    assert!(is_over(&mut client));
}

#[test]
fn uploads_hold_no_place_at_the_application_however_slow_they_are() {
    let taking = Taking::start(Limits {
        app_connections: 1,
        app_reserve: 8,
        app_wait: Duration::from_secs(10),
        ..Limits::default()
    });
    let address = taking.address;
    let caller = Caller::new(&taking.front.ca);
    let mut uploads = Vec::new();
    for _ in 0..20 {
        let mut client = caller.call(address);
        begin(&mut client, CHUNKED);
        let (ticket, reader) = taking.take();
        chunk(&mut client, b"G");
        uploads.push((client, ticket, reader));
    }
    // The one place serves everybody else.
    let mut other = caller.call(address);
    for _ in 0..5 {
        assert_eq!(get(&mut other, "/").status, 200);
    }
    assert_eq!(taking.front.counted("public", "FRONT.APP_BUSY"), 0);
    for (client, ticket, reader) in &mut uploads {
        assert_eq!(read(reader, 1), b"G");
        assert!(taking.answer(*ticket, 409, "STREAM.TAKEN_OVER"));
        assert_eq!(read_answer(client).problem(), "409 STREAM.TAKEN_OVER");
    }
}

#[test]
fn a_body_that_stalls_is_over_and_says_so_to_both_sides() {
    let taking = Taking::start(Limits {
        body_stall: Duration::from_millis(300),
        ..Limits::default()
    });
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    let (ticket, mut reader) = taking.take();
    chunk(&mut client, b"too little");
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("a clean end");
    assert_eq!(all, b"too little");
    let (code, detail, bytes) = taking.ended(ticket);
    assert_eq!((code.as_str(), bytes), ("FRONT.BODY_STALLED", 10));
    assert!(detail.contains("300ms"), "{detail}");
    assert!(taking.answer(ticket, 408, "FRONT.BODY_STALLED"));
    let answer = read_answer(&mut client);
    assert_eq!(answer.problem(), "408 FRONT.BODY_STALLED");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(is_over(&mut client));
    assert_eq!(taking.front.counted("public", "FRONT.BODY_STALLED"), 1);
}

#[test]
fn a_slow_reader_slows_the_client_which_is_not_called_slow_for_it() {
    let taking = Taking::start(Limits {
        body_stall: Duration::from_millis(500),
        ..Limits::default()
    });
    let address = taking.address;
    let caller = Caller::new(&taking.front.ca);
    let mut client = caller.call(address);
    // One chunk, larger than any buffer on the way.
    const LEN: usize = 48 << 20;
    begin(&mut client, CHUNKED);
    let (ticket, mut reader) = taking.take();
    let (slowed, is_slowed) = channel();
    let writer = std::thread::spawn(move || {
        let socket = client.get_ref().try_clone().expect("a second descriptor");
        socket
            .set_write_timeout(Some(Duration::from_millis(500)))
            .expect("a time limit");
        let piece = vec![7; 64 << 10];
        client
            .write_all(format!("{LEN:x}\r\n").as_bytes())
            .expect("the size is taken");
        let mut written = 0;
        while written < LEN {
            match client.write(&piece[..piece.len().min(LEN - written)]) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let _ = slowed.send(written);
                }
                Err(error) => panic!("after {written} bytes: {error}"),
            }
        }
        client
            .write_all(b"\r\n0\r\n\r\n")
            .expect("the end is taken");
        client
    });
    let last = is_slowed.recv().expect("the client is slowed down");
    // As long as two who really stall need to be found out, one after the other.
    for _ in 0..2 {
        let mut stalls = caller.call(address);
        begin(&mut stalls, CHUNKED);
        let (stalled, _reader) = taking.take();
        assert_eq!(taking.ended(stalled).0, "FRONT.BODY_STALLED");
    }
    // The sockets of both ends and the pair hold that much; nobody else does.
    assert!(last < LEN / 4, "{last} bytes went nowhere");
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("a clean end");
    assert!(all.len() == LEN && all.iter().all(|byte| *byte == 7));
    let mut client = writer.join().expect("the writer");
    let (code, _, bytes) = taking.ended(ticket);
    assert_eq!((code.as_str(), bytes), ("TLS.PEER_CLOSED", LEN as u64));
    assert!(taking.answer(ticket, 200, "STREAM.ENDED"));
    assert_eq!(read_answer(&mut client).status, 200);
}

#[test]
fn the_application_ends_a_body_with_an_answer_that_the_client_reads_while_it_sends() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    let (ticket, mut reader) = taking.take();
    chunk(&mut client, b"garbage");
    assert_eq!(read(&mut reader, 7), b"garbage");
    assert!(taking.answer(ticket, 400, "TS.GARBAGE"));
    chunk(&mut client, b"more of it");
    let answer = read_answer(&mut client);
    assert_eq!(answer.problem(), "400 TS.GARBAGE");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(is_over(&mut client));
    assert_eq!(taking.ended(ticket).0, "NODE.CLOSED_BY_NODE");
    assert_eq!(reader.read(&mut [0; 16]).expect("a clean end"), 0);
}

#[test]
fn whoever_takes_a_body_and_neither_reads_nor_answers_leaves_a_named_refusal() {
    let taking = Taking::start(Limits {
        app_answer: Duration::from_millis(300),
        ..Limits::default()
    });
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    let (ticket, reader) = taking.take();
    drop(reader);
    chunk(&mut client, b"into the void");
    let (code, detail, _) = taking.ended(ticket);
    assert_eq!(code, "NODE.CLOSED_BY_NODE");
    assert!(detail.contains("reader"), "{detail}");
    assert_eq!(read_answer(&mut client).problem(), "504 FRONT.APP_TIMEOUT");
    assert_eq!(taking.front.counted("public", "FRONT.APP_TIMEOUT"), 1);
}

#[test]
fn a_body_that_was_taken_and_then_refused_is_not_read() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    let mut reader = taking.reader(taking.ticket());
    taking.say("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nx-sealcast-body: 0\r\n\r\noh");
    let answer = read_answer(&mut client);
    assert_eq!((answer.status, answer.body.as_slice()), (500, &b"oh"[..]));
    assert_eq!(answer.header("x-sealcast-body"), None);
    assert_eq!(reader.read(&mut [0; 16]).expect("a clean end"), 0);
}

#[test]
fn an_application_that_says_it_took_what_it_did_not_take_is_at_fault() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    taking.ticket();
    taking.word.send(Word::Took).expect("the application waits");
    assert_eq!(
        read_answer(&mut client).problem(),
        "502 FRONT.APP_BAD_ANSWER"
    );
}

#[test]
fn a_ticket_from_outside_goes_no_further_than_the_door() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, &format!("{CHUNKED}\r\nX-Sealcast-Body: 4711"));
    let ticket = taking.ticket();
    assert_ne!(ticket, 4711);
    taking.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(read_answer(&mut client).status, 403);
}

#[test]
fn a_client_that_goes_away_in_the_middle_is_told_apart() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, CHUNKED);
    let (ticket, mut reader) = taking.take();
    chunk(&mut client, b"half");
    assert_eq!(read(&mut reader, 4), b"half");
    client.get_ref().shutdown(Shutdown::Both).expect("TCP ends");
    assert_eq!(reader.read(&mut [0; 16]).expect("a clean end"), 0);
    let (code, _, bytes) = taking.ended(ticket);
    assert_eq!((code.as_str(), bytes), ("FRONT.BODY_BROKEN", 4));
}

#[test]
fn framing_that_is_none_ends_the_body_where_it_stops_being_one() {
    let broken = [
        "zz\r\n",
        "-5\r\nabc",
        "10000000000000000\r\n",
        "3\r\nabcdef\r\n",
        "0x5\r\nabcde\r\n",
    ];
    let taking = Taking::start(Limits::default());
    let address = taking.address;
    for framing in broken {
        let mut client = Caller::new(&taking.front.ca).call(address);
        begin(&mut client, CHUNKED);
        let (ticket, mut reader) = taking.take();
        chunk(&mut client, b"good");
        client.write_all(framing.as_bytes()).expect("taken");
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("a clean end");
        assert!(
            all.starts_with(b"good") && all.len() <= 7,
            "{framing:?}: {all:?}"
        );
        assert_eq!(taking.ended(ticket).0, "FRONT.BODY_BROKEN", "{framing:?}");
        taking.answer(ticket, 400, "TS.TRUNCATED");
        let _ = client.read_to_end(&mut Vec::new());
    }
}

#[test]
fn a_body_with_two_lengths_is_read_by_its_chunks_and_nothing_follows_it() {
    let taking = Taking::start(Limits::default());
    let mut client = taking.client();
    begin(&mut client, &format!("{CHUNKED}\r\nContent-Length: 60"));
    client
        .write_all(b"3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the bytes are taken");
    let (ticket, mut reader) = taking.take();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).expect("a clean end");
    assert_eq!(all, b"abc");
    assert!(taking.answer(ticket, 200, "STREAM.ENDED"));
    assert_eq!(read_answer(&mut client).status, 200);
    // RFC 9112 §6.1: the connection is closed after the answer.
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).expect("a clean end");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));

    let mut client = taking.client();
    let twice = "PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4";
    let answer = exchange(&mut client, twice, b"abcd");
    assert_eq!(answer.status, 400);
}

type Fed = Channel<Bytes, std::convert::Infallible>;

fn put(body: Fed) -> hyper::Request<Fed> {
    hyper::Request::put("https://localhost/upload")
        .body(body)
        .expect("a request")
}

async fn feed(feed: &mut Feed<Bytes, std::convert::Infallible>, bytes: &'static [u8]) {
    feed.send_data(Bytes::from_static(bytes))
        .await
        .expect("the body is wanted");
}

#[test]
fn over_http_2_bodies_of_one_connection_end_each_for_itself() {
    let taking = Taking::start(Limits::default());
    let address = taking.address;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let caller = Caller::new(&taking.front.ca).alpn(b"\x02h2");
        let mut sender = caller.call_h2_with::<Fed>(address).await;
        let mut under_way = Vec::new();
        for _ in 0..3 {
            let (mut bytes, body) = Channel::new(4);
            let answer = tokio::spawn(sender.send_request(put(body)));
            let (ticket, reader) = taking.take();
            feed(&mut bytes, b"live").await;
            under_way.push((bytes, answer, ticket, reader));
        }
        let (bytes, answer, ticket, mut reader) = under_way.pop().expect("three");
        assert_eq!(read(&mut reader, 4), b"live");
        drop(bytes);
        assert_eq!(reader.read(&mut [0; 4]).expect("a clean end"), 0);
        assert_eq!(taking.ended(ticket).0, "TLS.PEER_CLOSED");
        assert!(taking.answer(ticket, 200, "STREAM.ENDED"));
        let answer = answer.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 200);

        // The application has had enough of one: its client is told, with no reset in between.
        let (_bytes, answer, ticket, mut reader) = under_way.pop().expect("two");
        assert_eq!(read(&mut reader, 4), b"live");
        assert!(taking.answer(ticket, 409, "STREAM.TAKEN_OVER"));
        let answer = answer.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 409);
        assert!(!answer.headers().contains_key("connection"));
        let body = answer.into_body().collect().await.expect("the document");
        let problem: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        assert_eq!(problem["code"], "STREAM.TAKEN_OVER");
        assert_eq!(taking.ended(ticket).0, "NODE.CLOSED_BY_NODE");

        // And one is reset by its client.
        let (mut bytes, answer, ticket, mut reader) = under_way.pop().expect("one");
        feed(&mut bytes, b"more").await;
        assert_eq!(read(&mut reader, 8), b"livemore");
        answer.abort();
        assert_eq!(reader.read(&mut [0; 4]).expect("a clean end"), 0);
        assert_eq!(taking.ended(ticket).0, "FRONT.BODY_BROKEN");
        drop(bytes);
        assert!(!sender.is_closed());
    });
}

#[test]
fn over_http_2_whoever_was_answered_early_may_go_on_for_so_much_and_is_reset_then() {
    const MOST: usize = 4 << 20;
    let taking = Taking::start(Limits {
        body_stall: Duration::from_secs(60),
        linger_bytes: MOST,
        ..Limits::default()
    });
    let address = taking.address;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for is_taken in [true, false] {
        runtime.block_on(async {
            let caller = Caller::new(&taking.front.ca).alpn(b"\x02h2");
            let mut sender = caller.call_h2_with::<Fed>(address).await;
            let (mut bytes, body) = Channel::new(4);
            let answer = tokio::spawn(sender.send_request(put(body)));
            if is_taken {
                let (ticket, _reader) = taking.take();
                assert!(taking.answer(ticket, 409, "STREAM.TAKEN_OVER"));
            } else {
                taking.ticket();
                taking.say("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n");
            }
            let answer = answer.await.expect("no panic").expect("an answer");
            assert_eq!(answer.status(), 409);
            // More than any window, so only while somebody reads; and not for ever.
            let mut sent = 0;
            while bytes
                .send_data(Bytes::from_static(&[0; 1 << 14]))
                .await
                .is_ok()
            {
                sent += 1 << 14;
                assert!(sent < 4 * MOST, "nobody stops it");
            }
            assert!(sent >= MOST, "{sent} bytes, then a reset");
        });
    }
}

#[test]
fn over_http_2_a_body_that_stalls_is_counted_once_and_its_client_told() {
    let taking = Taking::start(Limits {
        body_stall: Duration::from_millis(300),
        ..Limits::default()
    });
    let address = taking.address;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let caller = Caller::new(&taking.front.ca).alpn(b"\x02h2");
        let mut sender = caller.call_h2_with::<Fed>(address).await;
        let (bytes, body) = Channel::new(4);
        let answer = tokio::spawn(sender.send_request(put(body)));
        let (ticket, _reader) = taking.take();
        assert_eq!(taking.ended(ticket).0, "FRONT.BODY_STALLED");
        assert!(taking.answer(ticket, 408, "FRONT.BODY_STALLED"));
        let answer = answer.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 408);
        // Until the rest of it is waited for no more, and the stream reset.
        let mut bytes = bytes;
        while bytes.send_data(Bytes::new()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(taking.front.counted("public", "FRONT.BODY_STALLED"), 1);
}

/// The id of the certificate of the connection that was opened last.
fn revoke_last(taking: &Taking) -> u64 {
    let (connection, facts) = taking.front.opened();
    let peer = facts.peer.as_ref().expect("a certificate");
    let id = peer.chain[0].parse().expect("an id");
    assert_eq!(taking.front.set_revoked(HashSet::from([id])), 1);
    connection
}

#[test]
fn a_revoked_client_is_told_why_its_body_ends_and_begins_nothing_more() {
    let taking = Taking::start(Limits {
        last_words: Duration::from_secs(10),
        ..Limits::default()
    });
    let caller = Caller::new(&taking.front.ca).presenting(taking.front.ca.client("encoder/lost"));
    let secure = taking.front.secure();
    let mut client = caller.call(secure);
    begin(&mut client, CHUNKED);
    let (ticket, mut reader) = taking.take();
    chunk(&mut client, b"live");
    assert_eq!(read(&mut reader, 4), b"live");
    let connection = revoke_last(&taking);
    assert_eq!(reader.read(&mut [0; 4]).expect("a clean end"), 0);
    assert_eq!(taking.ended(ticket).0, "IDENTITY.REVOKED");
    assert!(taking.answer(ticket, 403, "IDENTITY.REVOKED"));
    assert_eq!(read_answer(&mut client).problem(), "403 IDENTITY.REVOKED");
    assert_eq!(taking.front.closed(connection).0, "IDENTITY.REVOKED");
    assert!(is_over(&mut client));
}

#[test]
fn over_http_2_a_revoked_client_that_pours_gets_no_other_request_served() {
    let taking = Taking::start(Limits::default());
    let secure = taking.front.secure();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let caller = Caller::new(&taking.front.ca)
            .presenting(taking.front.ca.client("encoder/lost"))
            .alpn(b"\x02h2");
        let mut sender = caller.call_h2_with::<Fed>(secure).await;
        let (mut bytes, body) = Channel::new(4);
        let answer = tokio::spawn(sender.send_request(put(body)));
        let (ticket, mut reader) = taking.take();
        feed(&mut bytes, b"live").await;
        assert_eq!(read(&mut reader, 4), b"live");
        let connection = revoke_last(&taking);
        assert_eq!(taking.ended(ticket).0, "IDENTITY.REVOKED");
        let request = hyper::Request::get("https://localhost/")
            .body(Channel::new(1).1)
            .expect("a request");
        if let Ok(answer) = sender.send_request(request).await {
            assert_eq!(answer.status(), 503);
        }
        // Nobody answers the upload: the connection does not wait for ever.
        let begun = Instant::now();
        assert_eq!(taking.front.closed(connection).0, "IDENTITY.REVOKED");
        assert!(begun.elapsed() < Duration::from_secs(9));
        assert!(answer.await.expect("no panic").is_err());
    });
}
