//! Bodies of requests that stall, and applications that hold them up.

mod kit;

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use kit::app::{read_request, reply};
use kit::client::{exchange, read_head, Caller};
use kit::{wait_until, Front};
use sealcast_front::Limits;
use serde_json::Value;

fn with_stall(limit: Duration) -> Limits {
    Limits {
        body_stall: limit,
        ..Limits::default()
    }
}

#[test]
fn an_upload_that_stalls_gets_a_problem_document_and_the_end_of_its_connection() {
    let limit = Duration::from_millis(300);
    let front = Front::with_app(with_stall(limit));
    let mut client = Caller::new(&front.ca).call(front.https());
    let begun = Instant::now();
    let answer = exchange(
        &mut client,
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100",
        b"the rest never comes",
    );
    assert!(begun.elapsed() >= limit);
    let problem = answer.json();
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (408, Some("application/problem+json"))
    );
    assert_eq!(problem["code"], "FRONT.BODY_STALLED");
    assert_eq!(problem["status"], 408);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(client.read(&mut [0; 16]).expect("a clean end"), 0);
    assert_eq!(front.counted("public", "FRONT.BODY_STALLED"), 1);
    assert_eq!(front.counted("public", "FRONT.BAD_REQUEST"), 0);
    // Its place at the application is free again.
    wait_until("the connection to the application to end", || {
        front.counters().app_connections == 0
    });
}

#[test]
fn a_stalled_upload_over_http_2_leaves_the_other_requests_of_its_connection_alone() {
    let front = Front::with_app(with_stall(Duration::from_millis(300)));
    let address = front.https();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let caller = Caller::new(&front.ca).alpn(b"\x02h2");
        let mut sender = caller.call_h2_with::<SilentBody>(address).await;
        let stalled = hyper::Request::post("https://localhost/echo")
            .body(SilentBody { silent: true })
            .expect("a request");
        let answer = sender.send_request(stalled).await.expect("an answer");
        assert_eq!(answer.status(), 408);
        assert!(!answer.headers().contains_key("connection"));
        let body = answer.into_body().collect().await.expect("the document");
        let problem: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        assert_eq!(problem["code"], "FRONT.BODY_STALLED");

        let next = hyper::Request::get("https://localhost/echo")
            .body(SilentBody { silent: false })
            .expect("a request");
        let answer = sender.send_request(next).await.expect("an answer");
        assert_eq!(answer.status(), 200);
    });
    assert_eq!(front.counted("public", "FRONT.BODY_STALLED"), 1);
}

/// A body of which nothing ever comes, or that is empty.
struct SilentBody {
    silent: bool,
}

impl hyper::body::Body for SilentBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        if self.silent {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(None)
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.silent
    }
}

#[test]
fn a_stall_after_the_answer_has_begun_is_counted_too() {
    let (go_on, wait_for_it) = std::sync::mpsc::channel::<()>();
    let wait_for_it = std::sync::Mutex::new(wait_for_it);
    let front = Front::with_raw_app(
        with_stall(Duration::from_millis(300)),
        move |_, mut stream| {
            read_request(&mut stream).expect("a request");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
            // Until the test is over.
            let _ = wait_for_it.lock().expect("one thread at a time").recv();
        },
    );
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nab")
        .expect("the request is taken");
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200"));
    wait_until("the stall to be counted", || {
        front.counted("public", "FRONT.BODY_STALLED") == 1
    });
    wait_until("both connections to end", || {
        let counters = front.counters();
        (counters.app_connections, counters.doors["public"].open) == (0, 0)
    });
    drop(go_on);
}

#[test]
fn an_application_that_takes_its_time_with_an_upload_is_not_the_clients_stall() {
    // Far above TCP's own timers (retransmission, delayed acknowledgement: 200 ms), which the
    // client's bytes may well wait for.
    let limit = Duration::from_secs(1);
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let ends = Mutex::new((begun, may_go_on));
    let front = Front::with_raw_app(with_stall(limit), move |number, mut stream| {
        read_request(&mut stream).expect("a request");
        if number > 0 {
            // One whose client stalls.
            let _ = stream.read_to_end(&mut Vec::new());
            return;
        }
        {
            let ends = ends.lock().expect("one thread at a time");
            ends.0.send(()).expect("the test listens");
            ends.1.recv().expect("the test goes on");
        }
        let mut body = vec![0; 8 << 20];
        if stream.read_exact(&mut body).is_ok() {
            reply(&mut stream, "done");
        }
    });
    let address = front.https();
    let caller = Caller::new(&front.ca);
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| {
            let head = "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608";
            exchange(&mut caller.call(address), head, &vec![0; 8 << 20])
        });
        has_begun.recv().expect("the upload has begun");
        // For the whole of two limits, as two clients that really stall find out.
        for stalled in 1..=2 {
            let head = "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100";
            let answer = exchange(&mut caller.call(address), head, b"the rest never comes");
            assert_eq!(answer.problem(), "408 FRONT.BODY_STALLED");
            assert_eq!(front.counted("public", "FRONT.BODY_STALLED"), stalled);
        }
        go_on.send(()).expect("the application waits");
        let answer = upload.join().expect("the upload");
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"done"[..]));
    });
    assert_eq!(front.counted("public", "FRONT.BODY_STALLED"), 2);
}

#[test]
fn an_application_that_has_the_whole_upload_and_does_not_answer_is_given_up() {
    let limits = Limits {
        app_answer: Duration::from_millis(500),
        app_connections: 1,
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let mut client = Caller::new(&front.ca).call(front.https());
    let head = "POST /swallow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000";
    let answer = exchange(&mut client, head, &vec![0; 300_000]);
    assert_eq!(answer.problem(), "504 FRONT.APP_TIMEOUT");
    assert_eq!(front.counted("public", "FRONT.APP_TIMEOUT"), 1);
    // The only place is free again.
    let head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2";
    assert_eq!(exchange(&mut client, head, b"ok").status, 200);
}

#[test]
fn an_application_that_takes_no_more_of_an_upload_is_given_up() {
    let limits = Limits {
        app_answer: Duration::from_millis(500),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(b"POST /hang HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n")
        .expect("the request is taken");
    client
        .get_ref()
        .set_write_timeout(Some(Duration::from_secs(10)))
        .expect("a time limit can be set");
    // Far more than any buffer on the way, so until the door closes.
    while client.write_all(&[0; 64 << 10]).is_ok() {}
    wait_until("the application to be given up", || {
        front.counted("public", "FRONT.APP_TIMEOUT") == 1
    });
    wait_until("its connection to end", || {
        front.counters().app_connections == 0
    });
}
