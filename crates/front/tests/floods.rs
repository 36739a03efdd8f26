//! Requests that are begun and abandoned as fast as possible (CVE-2023-44487).

mod kit;

use std::io::{Read, Write};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper::Request;
use kit::client::{exchange_h2, get, Caller};
use kit::{frames, wait_until, Front};
use sealcast_front::Limits;

const H2: &[u8] = b"\x02h2";

fn requests(front: &Front) -> u64 {
    front.counters().doors["public"].requests
}

fn floods(front: &Front) -> u64 {
    front.counted("public", "FRONT.HTTP2_FLOOD")
}

fn request(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{path}"))
        .body(Full::default())
        .expect("a request")
}

/// A request that the door has taken up and its client gives up.
async fn abandon(front: &Front, sender: &mut SendRequest<Full<Bytes>>) {
    let before = requests(front);
    let task = tokio::spawn(sender.send_request(request("/hang")));
    wait_until("the request to be taken up", || requests(front) > before);
    task.abort();
}

#[test]
fn streams_that_are_opened_and_reset_in_one_go_end_their_connection() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let mut attacker = Caller::new(&front.ca).alpn(H2).call(address);
    let mut bytes = frames::preface();
    for number in 0..10_000 {
        let stream = 2 * number + 1;
        bytes.extend(frames::get(stream, "/hang"));
        bytes.extend(frames::cancel(stream));
    }
    // It may close before it has read all.
    let _ = attacker.write_all(&bytes);
    let _ = attacker.read_to_end(&mut Vec::new());
    wait_until("the connection to end", || floods(&front) == 1);
    assert!(
        requests(&front) < 1_000,
        "{} of 10,000 requests were taken up",
        requests(&front)
    );
    wait_until("the application to be left alone", || {
        front.counters().app_connections == 0
    });
    let mut other = Caller::new(&front.ca).call(address);
    assert_eq!(get(&mut other, "/echo").status, 200);
}

#[test]
fn requests_that_are_taken_up_and_then_reset_end_their_connection() {
    let limits = Limits::default();
    let allowed = limits.h2_abandoned as u64;
    let front = Front::with_app(limits);
    let address = front.https();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut sender = Caller::new(&front.ca).alpn(H2).call_h2(address).await;
        for _ in 0..=allowed {
            abandon(&front, &mut sender).await;
        }
        wait_until("the connection to end", || floods(&front) == 1);
    });
    assert_eq!(requests(&front), allowed + 1);
    let mut other = Caller::new(&front.ca).call(address);
    assert_eq!(get(&mut other, "/echo").status, 200);
}

#[test]
fn a_client_may_abandon_as_many_requests_as_it_lets_be_answered() {
    let front = Front::with_app(Limits {
        h2_abandoned: 1,
        ..Limits::default()
    });
    let address = front.https();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut sender = Caller::new(&front.ca).alpn(H2).call_h2(address).await;
        for _ in 0..5 {
            let (head, _) = exchange_h2(&mut sender, request("/echo")).await;
            assert_eq!(head.status, 200);
            abandon(&front, &mut sender).await;
        }
        // The sixth is the one that it may abandon besides.
        abandon(&front, &mut sender).await;
        let (head, _) = exchange_h2(&mut sender, request("/echo")).await;
        assert_eq!((head.status.as_u16(), floods(&front)), (200, 0));
        for _ in 0..2 {
            abandon(&front, &mut sender).await;
        }
        wait_until("the connection to end", || floods(&front) == 1);
    });
}
