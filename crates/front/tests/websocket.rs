//! Connections that leave HTTP behind.

mod kit;

use std::io::{Read, Write};

use kit::client::{exchange, read_head, Caller};
use kit::{wait_until, Front};
use sealcast_front::Limits;

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n";

#[test]
fn a_websocket_is_tunnelled_both_ways() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    // The first bytes of the tunnel ride with the request.
    client
        .write_all(format!("{ASK}early").as_bytes())
        .expect("the request is taken");
    let head = read_head(&mut client).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("upgrade: websocket") && head.contains("sec-websocket-accept: x"));
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).expect("the echo");
    assert_eq!(&bytes, b"early");
    let message = vec![42; 300_000];
    for chunk in message.chunks(50_000) {
        client.write_all(chunk).expect("the message is taken");
        let mut back = vec![0; chunk.len()];
        client.read_exact(&mut back).expect("the echo");
        assert_eq!(back, chunk);
    }
    assert!(
        front.facts(1).is_some(),
        "the tunnel's connection is still known"
    );
    drop(client);
    wait_until("the tunnel to close", || {
        front.facts(1).is_none() && front.counters().app_connections == 0
    });
}

#[test]
fn a_tunnel_ends_when_the_node_closes_its_connection() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    client
        .write_all(ASK.as_bytes())
        .expect("the request is taken");
    read_head(&mut client);
    front.close_connection(1, "IDENTITY.REVOKED");
    assert_eq!(client.read(&mut [0; 8]).expect("a clean end"), 0);
    wait_until("it to be counted", || {
        front.counted("public", "IDENTITY.REVOKED") == 1
    });
    wait_until("the other side to close", || {
        front.counters().app_connections == 0
    });
}

#[test]
fn no_other_protocol_is_tunnelled() {
    let front = Front::with_app(Limits::default());
    let mut client = Caller::new(&front.ca).call(front.https());
    let answer = exchange(
        &mut client,
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        b"",
    );
    assert_eq!(answer.status, 200);
    let echo = answer.json().to_string();
    assert!(
        !echo.contains("h2c") && !echo.contains("http2-settings"),
        "{echo}"
    );

    // An application that changes protocol although nobody asked is not believed.
    let answer = exchange(&mut client, "GET /ws HTTP/1.1\r\nHost: localhost", b"");
    assert_eq!(answer.problem(), "502 FRONT.APP_BAD_ANSWER");
}
