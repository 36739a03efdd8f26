//! Requests through an HTTPS door to the application and back.

mod kit;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use kit::app::{large, read_request, reply, App};
use kit::client::{ask_for_much, exchange, exchange_h2, get, read_answer, read_head, Caller};
use kit::{spec, wait_until, Folder, Front, SECRET};
use sealcast_front::Limits;
use serde_json::Value;

const H2: &[u8] = b"\x02h2\x08http/1.1";

fn echoed<'a>(echo: &'a Value, name: &str) -> Vec<&'a str> {
    echo["headers"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| row[0] == name)
        .filter_map(|row| row[1].as_str())
        .collect()
}

#[test]
fn a_request_over_http_1_reaches_the_application_and_its_answer_comes_back() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());

    let answer = exchange(
        &mut client,
        "POST /echo?x=1 HTTP/1.1\r\nHost: venue.example:8443\r\nContent-Length: 5",
        b"hello",
    );
    assert_eq!(answer.status, 200);
    let echo = answer.json();
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/echo?x=1");
    assert_eq!(echo["length"], 5);
    assert_eq!(echoed(&echo, "host"), ["venue.example:8443"]);
    assert_eq!(echoed(&echo, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(echoed(&echo, "x-forwarded-proto"), ["https"]);
    assert_eq!(echoed(&echo, "x-forwarded-host"), ["venue.example:8443"]);
    assert_eq!(echoed(&echo, "x-sealcast-connection"), ["1"]);
    assert_eq!(echoed(&echo, "x-sealcast-secret"), [SECRET]);

    // The same connection, and the same connection behind it.
    assert_eq!(get(&mut client, "/nothing").status, 404);
    let facts = front.facts(1).expect("the connection is open");
    assert_eq!(
        (&*facts.door, facts.facts.version.as_str()),
        ("public", "1.3")
    );
    assert_eq!(front.counters().doors["public"].requests, 2);
    assert_eq!(front.counters().app_connections, 1);

    drop(client);
    wait_until("the connection to leave the table", || {
        front.facts(1).is_none()
    });
    assert!(
        front.drain_events().is_empty(),
        "nobody showed a certificate, so nothing is told"
    );
}

#[test]
fn requests_over_http_2_share_a_connection_and_arrive_whole() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sender = Caller::new(&front.ca).alpn(H2).call_h2(address).await;
        let mut tasks = Vec::new();
        for number in 0..20 {
            let mut sender = sender.clone();
            tasks.push(tokio::spawn(async move {
                let request = Request::post(format!("https://venue.example/echo?n={number}"))
                    .header("cookie", "a=1")
                    .header("cookie", "b=2")
                    .body(Full::new(Bytes::from(vec![1; 100_000])))
                    .expect("a request");
                let (head, body) = exchange_h2(&mut sender, request).await;
                assert_eq!(head.status, 200);
                let echo: Value = serde_json::from_slice(&body).expect("JSON");
                assert_eq!(echo["target"], format!("/echo?n={number}"));
                assert_eq!(echo["sum"], 100_000);
                assert_eq!(echoed(&echo, "host"), ["venue.example"]);
                assert_eq!(echoed(&echo, "cookie"), ["a=1; b=2"]);
                assert_eq!(echoed(&echo, "x-sealcast-connection"), ["1"]);
            }));
        }
        for task in tasks {
            task.await.expect("an exchange");
        }
        let mut sender = sender;
        let request = Request::get("https://venue.example/large")
            .body(Full::default())
            .expect("a request");
        let (_, body) = exchange_h2(&mut sender, request).await;
        assert!(body == large());
    });
    assert_eq!(front.counters().doors["public"].handshakes, 1);
    let facts = front.facts(1);
    assert!(facts.is_none_or(|facts| facts.facts.alpn.as_deref() == Some("h2")));
}

#[test]
fn what_a_client_claims_about_itself_does_not_pass() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let forged = "x-sealcast-connection: 77\r\nX-SealCast-Secret: 00\r\nx-sealcast-admin: yes\r\n\
                  x_sealcast_connection: 78\r\nX-Forwarded-For: 192.0.2.9\r\n\
                  Forwarded: for=192.0.2.9\r\nX-Real-IP: 192.0.2.9\r\n\
                  Connection: keep-alive, x-sealcast-secret, x-sealcast-connection, host";
    let mut client = Caller::new(&front.ca).call(address);
    let head = format!("GET /echo HTTP/1.1\r\nHost: localhost\r\n{forged}");
    let echo = exchange(&mut client, &head, b"").json();
    assert_eq!(echoed(&echo, "x-sealcast-connection"), ["1"]);
    assert_eq!(echoed(&echo, "x-sealcast-secret"), [SECRET]);
    assert_eq!(echoed(&echo, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(echoed(&echo, "host"), ["localhost"]);
    for gone in [
        "x-sealcast-admin",
        "x_sealcast_connection",
        "forwarded",
        "x-real-ip",
    ] {
        assert!(echoed(&echo, gone).is_empty(), "{gone} passed");
    }

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut sender = Caller::new(&front.ca).alpn(H2).call_h2(address).await;
        let request = Request::get("https://localhost/echo")
            .header("x-sealcast-connection", "77")
            .header("x-sealcast-secret", "00")
            .body(Full::default())
            .expect("a request");
        let (_, body) = exchange_h2(&mut sender, request).await;
        let echo: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(echoed(&echo, "x-sealcast-connection"), ["2"]);
        assert_eq!(echoed(&echo, "x-sealcast-secret"), [SECRET]);
    });
}

#[test]
fn a_door_with_hsts_says_so_on_every_answer_and_a_door_without_never() {
    let front = Front::with_app(Limits::default());
    let mut strict = spec("strict", "https", "none");
    strict.hsts = true;
    let strict = front.door(strict);
    let plain = front.https();
    let caller = Caller::new(&front.ca);
    let mut client = caller.call(strict);
    for path in ["/echo", "/nothing", "/hop"] {
        let answer = get(&mut client, path);
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000")
        );
    }
    let mut client = caller.call(plain);
    assert_eq!(
        get(&mut client, "/echo").header("strict-transport-security"),
        None
    );
}

#[test]
fn headers_of_one_hop_do_not_pass_back() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    let answer = get(&mut client, "/hop");
    assert_eq!(answer.body, b"hop");
    assert_eq!(answer.header("x-internal"), None);
}

#[test]
fn an_answer_is_streamed_while_the_application_still_makes_it() {
    let (go_on, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let front = Front::with_raw_app(Limits::default(), move |_, mut stream| {
        read_request(&mut stream).expect("a request");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .expect("the head is taken");
        let wait = wait.lock().expect("one thread at a time");
        wait.recv().expect("the client has the first chunk");
        stream
            .write_all(b"6\r\nsecond\r\n0\r\n\r\n")
            .expect("the rest is taken");
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is taken");
    read_head(&mut client);
    let mut chunk = [0; 10];
    client.read_exact(&mut chunk).expect("the first chunk");
    assert_eq!(&chunk, b"5\r\nfirst\r\n");
    go_on.send(()).expect("the application waits");
    let mut rest = [0; 16];
    client.read_exact(&mut rest).expect("the rest");
    assert_eq!(&rest, b"6\r\nsecond\r\n0\r\n\r\n");
}

#[test]
fn an_upload_is_streamed_while_the_client_still_sends_it() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let front = Front::with_raw_app(Limits::default(), move |_, mut stream| {
        let head = read_request(&mut stream).expect("a request");
        assert!(
            head.to_ascii_lowercase()
                .contains("transfer-encoding: chunked"),
            "{head}"
        );
        let mut bytes = [0; 64];
        let len = stream.read(&mut bytes).expect("the first chunk");
        let sender = sender.lock().expect("one thread at a time");
        sender
            .send(bytes[..len].to_vec())
            .expect("the test listens");
        while !bytes[..].windows(5).any(|window| window == b"0\r\n\r\n") {
            bytes = [0; 64];
            let _ = stream.read(&mut bytes).expect("the rest");
        }
        reply(&mut stream, "done");
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(
            b"PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        )
        .expect("the request is taken");
    let first = receiver
        .recv_timeout(Duration::from_secs(5))
        .expect("the first chunk passes before the last is sent");
    assert_eq!(first, b"3\r\nabc\r\n");
    client.write_all(b"0\r\n\r\n").expect("the end is taken");
    assert_eq!(read_answer(&mut client).body, b"done");
}

#[test]
fn an_answer_that_comes_before_the_end_of_the_upload_arrives() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(b"POST /refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n")
        .expect("the request is taken");
    // Far more than any buffer on the way; the other end may stop reading at any point.
    let chunk = vec![0; 64 << 10];
    let writer = client.get_ref().try_clone().expect("a second descriptor");
    writer
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("a time limit can be set");
    for _ in 0..100 {
        if client.write_all(&chunk).is_err() {
            break;
        }
    }
    assert_eq!(read_answer(&mut client).status, 401);
}

#[test]
fn without_an_application_a_request_gets_a_problem_document_and_later_ones_recover() {
    let folder = Folder::new();
    let front = Front::start(&folder.socket(), Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    let answer = get(&mut client, "/echo");
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    assert_eq!(problem["code"], "FRONT.APP_UNAVAILABLE");
    assert_eq!(problem["status"], 502);
    assert!(
        !problem["detail"]
            .as_str()
            .expect("a sentence")
            .contains("sock"),
        "{problem}"
    );
    assert_eq!(front.counted("public", "FRONT.APP_UNAVAILABLE"), 1);

    let _app = App::start(&folder.socket());
    assert_eq!(get(&mut client, "/echo").status, 200);
}

#[test]
fn an_application_that_does_not_answer_is_given_up() {
    let limits = Limits {
        app_answer: Duration::from_secs(1),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let mut client = Caller::new(&front.ca).call(front.https());
    let answer = get(&mut client, "/hang");
    assert_eq!(answer.problem(), "504 FRONT.APP_TIMEOUT");
    assert_eq!(get(&mut client, "/echo").status, 200);
    wait_until("the given-up connection to close", || {
        front.counters().app_connections == 1
    });
}

#[test]
fn when_every_connection_to_the_application_is_in_use_a_request_is_told_so() {
    let limits = Limits {
        app_connections: 1,
        app_wait: Duration::from_millis(200),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let address = front.https();
    let caller = Caller::new(&front.ca);
    let mut hanging = caller.call(address);
    hanging
        .write_all(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is taken");
    wait_until("the request to hang", || {
        front.counters().app_connections == 1
    });
    let mut client = caller.call(address);
    let answer = get(&mut client, "/echo");
    assert_eq!(answer.problem(), "503 FRONT.APP_BUSY");
    // A client that goes away takes its request with it.
    drop(hanging);
    wait_until("the place to become free", || {
        get(&mut client, "/echo").status == 200
    });
}

#[test]
fn a_connection_that_the_node_closes_takes_its_requests_with_it() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let hanging = || front.counters().app_connections;
    let mut client = Caller::new(&front.ca).call(address);
    client
        .write_all(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is taken");
    wait_until("the request to hang", || hanging() == 1);
    front.close_connection(1, "IDENTITY.REVOKED");
    assert_eq!(client.read(&mut [0; 8]).expect("a clean end"), 0);
    wait_until("the request to end", || hanging() == 0);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sender = runtime.block_on(async {
        let mut sender = Caller::new(&front.ca).alpn(H2).call_h2(address).await;
        for _ in 0..3 {
            let request = Request::get("https://localhost/hang")
                .body(Full::<Bytes>::default())
                .expect("a request");
            tokio::spawn(sender.send_request(request));
        }
        sender
    });
    wait_until("the requests to hang", || hanging() == 3);
    front.close_connection(2, "IDENTITY.REVOKED");
    wait_until("the requests to end", || hanging() == 0);
    assert_eq!(front.counted("public", "IDENTITY.REVOKED"), 2);
    drop(sender);
}

#[test]
fn a_client_that_takes_no_bytes_is_given_up() {
    let limits = Limits {
        write_stall: Duration::from_millis(300),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let mut client = Caller::new(&front.ca).call(front.https());
    ask_for_much(&mut client);
    wait_until("the connection to be closed", || {
        front.counters().doors["public"].open == 0
    });
    assert_eq!(front.counted("public", "TLS.PEER_CLOSED"), 1);
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(b"HEAD /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is taken");
    let head = read_head(&mut client).to_ascii_lowercase();
    assert!(head.contains("content-length: 8388608"), "{head}");
    assert_eq!(get(&mut client, "/nothing").status, 404);
}

#[test]
fn a_body_that_is_malformed_is_the_clients_fault() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    let answer = exchange(
        &mut client,
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked",
        b"3\r\nabc\r\nnot a size\r\n",
    );
    assert_eq!(answer.problem(), "400 FRONT.BAD_REQUEST");
    assert_eq!(front.counted("public", "FRONT.APP_UNAVAILABLE"), 0);
}

#[test]
fn a_stale_pooled_connection_costs_an_idempotent_request_nothing() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    // The first connection answers once, and closes when it has read a second request.
    let front = Front::with_raw_app(Limits::default(), move |number, mut stream| {
        let mut answered = 0;
        while read_request(&mut stream).is_some() {
            count.fetch_add(1, Ordering::SeqCst);
            if number == 0 && answered == 1 {
                return;
            }
            answered += 1;
            reply(&mut stream, &format!("connection {number}"));
        }
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    assert_eq!(get(&mut client, "/").body, b"connection 0");
    assert_eq!(get(&mut client, "/").body, b"connection 1");
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    assert_eq!(front.counted("public", "FRONT.APP_UNAVAILABLE"), 0);
}

#[test]
fn a_post_that_may_have_been_read_is_not_sent_twice() {
    let posts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&posts);
    let front = Front::with_raw_app(Limits::default(), move |number, mut stream| {
        while let Some(head) = read_request(&mut stream) {
            if head.starts_with("POST") {
                count.fetch_add(1, Ordering::SeqCst);
                if number == 0 {
                    return;
                }
            }
            reply(&mut stream, "ok");
        }
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    assert_eq!(get(&mut client, "/").status, 200);
    let answer = exchange(
        &mut client,
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0",
        b"",
    );
    assert_eq!(answer.status, 502);
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[test]
fn a_head_that_is_too_large_or_no_http_is_refused_and_counted() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let caller = Caller::new(&front.ca);

    let mut client = caller.call(address);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}",
        "x".repeat(40_000)
    );
    assert_eq!(exchange(&mut client, &head, b"").status, 431);
    wait_until("it to be counted", || {
        front.counted("public", "FRONT.HEADER_TOO_LARGE") == 1
    });

    let mut client = caller.call(address);
    assert_eq!(exchange(&mut client, "this is not HTTP", b"").status, 400);
    wait_until("it to be counted", || {
        front.counted("public", "FRONT.BAD_HTTP") == 1
    });
}

#[test]
fn a_request_without_a_host_or_with_a_forbidden_method_is_refused() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    for head in [
        "GET /echo HTTP/1.1",
        "GET /echo HTTP/1.1\r\nHost: a.example\r\nHost: b.example",
        "TRACE /echo HTTP/1.1\r\nHost: localhost",
        "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost",
    ] {
        let mut client = Caller::new(&front.ca).call(address);
        let answer = exchange(&mut client, head, b"");
        assert_eq!(answer.problem(), "400 FRONT.BAD_REQUEST", "{head}");
    }
    assert_eq!(front.counted("public", "FRONT.BAD_REQUEST"), 4);
}

#[test]
fn a_message_with_two_lengths_is_not_forwarded_with_both() {
    let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let front = Front::with_raw_app(Limits::default(), move |_, mut stream| {
        while let Some(head) = read_request(&mut stream) {
            seen.lock()
                .expect("one thread at a time")
                .push(head.to_ascii_lowercase());
            if head.to_ascii_lowercase().contains("chunked") {
                let _ = stream.read(&mut [0; 64]);
            }
            reply(&mut stream, "ok");
        }
    });
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(
            b"POST / HTTP/1.1\r\nHost: localhost\r\n\
              Content-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n\
              3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        )
        .expect("the bytes are taken");
    let _ = read_head(&mut client);
    for head in heads.lock().expect("one thread at a time").iter() {
        assert!(
            !(head.contains("chunked") && head.contains("content-length")),
            "{head}"
        );
    }
}
