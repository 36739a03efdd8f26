//! Answers that their client does not take, and who else gets one meanwhile.

mod kit;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::TokioExecutor;
use kit::app::small;
use kit::client::{ask_for_much, get, read_head, Caller};
use kit::{wait_until, Front};
use sealcast_front::Limits;

type Sender = http2::SendRequest<Full<Bytes>>;

const STALL: Duration = Duration::from_millis(300);

/// Few places, all of which one connection may take, and no long wait for them.
fn places(app_connections: usize) -> Limits {
    Limits {
        app_connections,
        app_per_connection: app_connections,
        address_share: 1,
        app_reserve: usize::MAX,
        app_wait: Duration::from_millis(200),
        ..Limits::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// A client that announces so small a window for each stream and opens it no further.
async fn thirsty(front: &Front, address: std::net::SocketAddr, window: u32) -> Sender {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let caller = Caller::new(&front.ca).alpn(b"\x02h2");
    caller.call_h2_as(address, &builder).await
}

/// A request of which the head of the answer comes.
async fn begin(sender: &mut Sender, path: &str) -> Response<Incoming> {
    let request = Request::get(format!("https://localhost{path}"))
        .body(Full::default())
        .expect("a request");
    let answer = sender.send_request(request).await.expect("a head");
    assert_eq!(answer.status(), 200);
    answer
}

#[test]
fn a_client_without_a_window_gives_the_places_of_small_answers_back() {
    let front = Front::with_app(places(1));
    let address = front.https();
    runtime().block_on(async {
        let mut sender = thirsty(&front, address, 0).await;
        let mut untaken = Vec::new();
        for _ in 0..20 {
            untaken.push(begin(&mut sender, "/small").await);
        }
    });
    let mut other = Caller::new(&front.ca).call(address);
    assert_eq!(get(&mut other, "/echo").status, 200);
    assert_eq!(front.counted("public", "FRONT.APP_BUSY"), 0);
}

#[test]
fn a_small_answer_that_was_read_ahead_arrives_whole_when_the_client_wants_it() {
    let front = Front::with_app(places(1));
    let address = front.https();
    runtime().block_on(async {
        let mut slow = thirsty(&front, address, 1000).await;
        let answers = [
            begin(&mut slow, "/small").await,
            begin(&mut slow, "/small").await,
        ];
        for answer in answers {
            let body = answer.into_body().collect().await.expect("the body");
            assert!(body.to_bytes() == small());
        }
    });
    assert_eq!(front.counted("public", "FRONT.ANSWER_STALLED"), 0);
}

#[test]
fn a_large_answer_that_nobody_takes_ends_its_stream_and_gives_its_place_back() {
    let front = Front::with_app(Limits {
        answer_stall: STALL,
        app_wait: Duration::from_secs(10),
        ..places(1)
    });
    let address = front.https();
    runtime().block_on(async {
        let mut sender = thirsty(&front, address, 0).await;
        let answer = begin(&mut sender, "/large").await;
        // It waits for the one place.
        begin(&mut sender, "/echo").await;
        let error = answer.into_body().collect().await.err();
        let error = format!("{:?}", error.expect("the stream is reset"));
        assert!(error.contains("CANCEL"), "{error}");
    });
    assert!(front.counted("public", "FRONT.ANSWER_STALLED") >= 1);
    // The connection itself lived until its client went.
    wait_until("the client's own end", || {
        front.counted("public", "TLS.PEER_CLOSED") == 1
    });
}

#[test]
fn a_small_answer_that_nobody_takes_does_not_stay_in_memory() {
    let front = Front::with_app(Limits {
        answer_stall: STALL,
        ..places(1)
    });
    let address = front.https();
    runtime().block_on(async {
        let mut sender = thirsty(&front, address, 0).await;
        let answer = begin(&mut sender, "/small").await;
        assert!(answer.into_body().collect().await.is_err());
    });
    assert_eq!(front.counted("public", "FRONT.ANSWER_STALLED"), 1);
}

#[test]
fn last_bytes_that_nobody_takes_end_the_connection() {
    let front = Front::with_app(Limits {
        answer_stall: STALL,
        ..places(1)
    });
    let address = front.https();
    runtime().block_on(async {
        // Room for the beginning of the only piece: the rest waits inside HTTP/2.
        let mut sender = thirsty(&front, address, 5).await;
        let _answer = begin(&mut sender, "/hop").await;
        let _untaken = begin(&mut sender, "/echo").await;
        wait_until("the connection to end", || front.facts(1).is_none());
    });
    wait_until("it to be counted", || {
        front.counted("public", "FRONT.ANSWER_STALLED") == 1
    });
}

#[test]
fn an_answer_over_http_1_that_nobody_takes_ends_its_connection() {
    let front = Front::with_app(Limits {
        answer_stall: STALL,
        ..places(1)
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    ask_for_much(&mut client);
    wait_until("the connection to be closed", || {
        front.counted("public", "FRONT.ANSWER_STALLED") == 1
    });
    wait_until("the place to be free", || {
        front.counters().app_connections == 0
    });
}

#[test]
fn what_is_read_ahead_is_bounded_over_all_answers() {
    let front = Front::with_app(Limits {
        answer_memory: 300_000,
        ..places(2)
    });
    let address = front.https();
    runtime().block_on(async {
        let mut sender = thirsty(&front, address, 0).await;
        // The memory of one and a half answers: the second keeps its place.
        let _ahead = begin(&mut sender, "/small").await;
        let _place = begin(&mut sender, "/small").await;
        let mut other = Caller::new(&front.ca).call(address);
        assert_eq!(get(&mut other, "/echo").status, 200);
        let _last_place = begin(&mut sender, "/small").await;
        assert_eq!(get(&mut other, "/echo").problem(), "503 FRONT.APP_BUSY");
    });
    // With the client its places and its memory are gone.
    let mut client = Caller::new(&front.ca).call(address);
    wait_until("a place to be free", || {
        get(&mut client, "/echo").status == 200
    });
    assert_eq!(get(&mut client, "/small").body, small());
}

#[test]
fn an_application_that_pauses_in_an_answer_is_not_hurried() {
    let front = Front::with_app(Limits {
        // The application pauses for half a second.
        answer_stall: Duration::from_millis(100),
        app_answer: Duration::from_millis(100),
        ..places(1)
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    assert_eq!(get(&mut client, "/stream").body, b"firstsecond");
    assert_eq!(front.counted("public", "FRONT.ANSWER_STALLED"), 0);
}

#[test]
fn one_connection_takes_its_places_and_leaves_the_others() {
    let front = Front::with_app(Limits {
        app_per_connection: 2,
        ..places(4)
    });
    let address = front.https();
    runtime().block_on(async {
        let mut crowd = thirsty(&front, address, 0).await;
        let _two = [
            begin(&mut crowd, "/large").await,
            begin(&mut crowd, "/large").await,
        ];
        let third = Request::get("https://localhost/echo")
            .body(Full::default())
            .expect("a request");
        let third = crowd.send_request(third).await.expect("a head");
        assert_eq!(third.status(), 503);
        let mut other = Caller::new(&front.ca).call(address);
        assert_eq!(get(&mut other, "/echo").status, 200);
    });
}

#[test]
fn strangers_who_take_every_open_place_leave_those_of_the_door_with_certificates() {
    let front = Front::with_app(Limits {
        app_reserve: 2,
        ..places(4)
    });
    let (public, secure) = (front.https(), front.secure());
    let caller = Caller::new(&front.ca);
    let hanging: Vec<_> = (0..2)
        .map(|_| {
            let mut client = caller.call(public);
            client
                .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .expect("the request is taken");
            read_head(&mut client);
            client
        })
        .collect();
    let mut stranger = caller.call(public);
    assert_eq!(get(&mut stranger, "/echo").problem(), "503 FRONT.APP_BUSY");
    let mut admin = Caller::new(&front.ca)
        .presenting(front.ca.client("admin"))
        .call(secure);
    assert_eq!(get(&mut admin, "/echo").status, 200);
    drop(hanging);
    wait_until("an open place to be free", || {
        get(&mut stranger, "/echo").status == 200
    });
}
