//! Doors: opening, changing their certificate, their limits, stopping.

mod kit;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use kit::app::large;
use kit::client::{get, read_answer, Caller};
use kit::{spec, wait_until, Ca, Front, SECRET};
use sealcast_front::{DoorSpec, FrontConfig, FrontHandle, Limits};

#[test]
fn a_swap_keeps_running_connections_and_new_handshakes_see_the_new_certificate() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let caller = Caller::new(&front.ca);
    let serial = |client: &kit::client::Tls| {
        let certificate = client.ssl().peer_certificate().expect("a certificate");
        certificate
            .serial_number()
            .to_bn()
            .expect("a number")
            .to_vec()
    };
    let mut old = caller.call(address);
    assert_eq!(get(&mut old, "/echo").status, 200);

    let renewed = front.ca.server("localhost");
    front
        .swap("public", &renewed.chain, &renewed.key, None)
        .expect("the pair fits");
    let mut new = caller.call(address);
    assert_ne!(serial(&old), serial(&new));
    assert!(get(&mut old, "/large").body == large());
    assert_eq!(get(&mut new, "/echo").status, 200);

    // A key that does not fit changes nothing.
    let other = front.ca.server("localhost");
    let error = front
        .swap("public", &other.chain, &renewed.key, None)
        .expect_err("the key belongs to another certificate");
    assert_eq!(error.code(), "TLS.KEY_MISMATCH");
    assert_eq!(serial(&caller.call(address)), serial(&new));
    let error = front.swap("nowhere", &other.chain, &other.key, None);
    assert_eq!(
        error.expect_err("no such door").code(),
        "FRONT.NO_SUCH_DOOR"
    );
}

#[test]
fn after_a_change_of_the_client_authority_only_the_new_one_counts() {
    let front = Front::with_app(Limits::default());
    let address = front.door(spec("secure", "https", "required"));
    let old = Caller::new(&front.ca).presenting(front.ca.client("admin"));
    let mut running = old.call(address);
    assert_eq!(get(&mut running, "/echo").status, 200);
    let next = Ca::new("the next authority");
    front
        .swap(
            "secure",
            &front.server.chain,
            &front.server.key,
            Some(&next.root_pem()),
        )
        .expect("the pair fits");
    assert!(old.is_refused(address));
    let new = Caller::new(&front.ca).presenting(next.client("admin"));
    assert_eq!(get(&mut new.call(address), "/echo").status, 200);
    assert_eq!(get(&mut running, "/echo").status, 200);
}

#[test]
fn two_hundred_connections_at_once_are_served() {
    let front = Front::with_app(Limits::default());
    let address = front.https();
    let caller = Arc::new(Caller::new(&front.ca));
    let all_open = Arc::new(Barrier::new(200));
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let (caller, all_open) = (Arc::clone(&caller), Arc::clone(&all_open));
            std::thread::spawn(move || {
                let mut client = caller.call(address);
                all_open.wait();
                for _ in 0..5 {
                    assert_eq!(get(&mut client, "/echo").status, 200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("five answers");
    }
    let counters = &front.counters().doors["public"];
    assert_eq!((counters.handshakes, counters.requests), (200, 1000));
    wait_until("all of them to leave", || {
        front.counters().doors["public"].open == 0
    });
}

#[test]
fn a_door_admits_no_more_connections_than_its_limit() {
    let limits = Limits {
        connections_per_door: 3,
        address_share: 1,
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let address = front.https();
    let caller = Caller::new(&front.ca);
    let mut inside: Vec<_> = (0..3).map(|_| caller.call(address)).collect();
    assert!(caller.is_refused(address));
    assert_eq!(front.counted("public", "FRONT.TOO_MANY_CONNECTIONS"), 1);
    for client in &mut inside {
        assert_eq!(get(client, "/echo").status, 200);
    }
    inside.pop();
    wait_until("the place to become free", || {
        caller.try_call(address).is_ok()
    });
}

#[test]
fn silent_peers_do_not_take_every_place_in_the_handshake_for_ever() {
    let limits = Limits {
        handshakes_per_door: 2,
        address_share: 1,
        handshake: Duration::from_secs(1),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let address = front.https();
    let silent: Vec<_> = (0..2)
        .map(|_| std::net::TcpStream::connect(address).expect("the door listens"))
        .collect();
    wait_until("both to take their places", || {
        front.counters().doors["public"].handshaking == 2
    });
    let late = std::net::TcpStream::connect(address).expect("the door listens");
    wait_until("all three to be given up", || {
        front.counters().doors["public"].open == 0
    });
    drop((silent, late));
    let mut client = Caller::new(&front.ca).call(address);
    assert_eq!(get(&mut client, "/echo").status, 200);
}

#[test]
fn an_idle_connection_is_closed_over_both_versions_of_http() {
    let limits = Limits {
        header_read: Duration::from_millis(300),
        h2_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let address = front.https();
    let mut slow = Caller::new(&front.ca).call(address);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc")
        .expect("the bytes are taken");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).expect("a clean end");
    wait_until("it to be counted", || {
        front.counted("public", "TLS.IDLE") == 1
    });

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sender = Caller::new(&front.ca)
            .alpn(b"\x02h2")
            .call_h2(address)
            .await;
        let deadline = Instant::now() + Duration::from_secs(5);
        while !sender.is_closed() {
            assert!(Instant::now() < deadline, "the connection stays open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    wait_until("it to be counted", || {
        front.counted("public", "TLS.IDLE") == 2
    });
}

#[test]
fn a_door_that_cannot_be_opened_says_why_and_leaves_nothing_behind() {
    let front = Front::alone(Limits::default());
    let open = |spec: DoorSpec, roots: Option<&[u8]>| {
        front
            .open_door(spec, &front.server.chain, &front.server.key, roots)
            .map_err(|error| {
                assert!(error.to_string().len() > 20, "{error} is no sentence");
                error.code()
            })
    };
    let with = |change: fn(&mut DoorSpec)| {
        let mut spec = spec("public", "https", "none");
        change(&mut spec);
        spec
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut busy = spec("public", "https", "none");
    busy.bind
        .push(taken.local_addr().expect("an address").to_string());

    assert_eq!(open(busy, None), Err("FRONT.BIND_FAILED"));
    assert_eq!(
        open(with(|spec| spec.bind.clear()), None),
        Err("FRONT.BAD_DOOR")
    );
    assert_eq!(
        open(with(|spec| spec.bind[0] = "localhost".into()), None),
        Err("FRONT.BAD_DOOR")
    );
    assert_eq!(
        open(with(|spec| spec.min_version = "1.1".into()), None),
        Err("FRONT.BAD_DOOR")
    );
    assert_eq!(
        open(with(|spec| spec.name.clear()), None),
        Err("FRONT.BAD_DOOR")
    );
    assert_eq!(
        open(spec("s", "https", "required"), None),
        Err("FRONT.NO_CLIENT_ROOTS")
    );
    let roots = front.ca.root_pem();
    assert_eq!(
        open(spec("p", "https", "none"), Some(&roots)),
        Err("FRONT.BAD_DOOR")
    );
    assert!(open(spec("public", "https", "none"), None).is_ok());
    assert_eq!(
        open(spec("public", "https", "none"), None),
        Err("FRONT.DOOR_EXISTS")
    );

    let unknown = r#"{"name":"x","kind":"https","bind":[],"min_version":"1.2","max_version":"1.3",
                      "groups":"X25519","client_auth":"none","hsts":false,"colour":"blue"}"#;
    assert!(serde_json::from_str::<DoorSpec>(unknown).is_err());
}

#[test]
fn a_front_without_a_proper_secret_does_not_start() {
    for secret in ["", "0011", &"x".repeat(32), &format!("{SECRET}\r\n")] {
        let config = FrontConfig {
            app_socket: "/nowhere".into(),
            secret: secret.to_owned(),
            threads: 1,
        };
        assert!(!format!("{config:?}").contains("0011"));
        let error = FrontHandle::start(config).err().expect("a refusal");
        assert_eq!(error.code(), "FRONT.BAD_SECRET");
    }
}

#[test]
fn one_door_listens_on_both_families() {
    let front = Front::with_app(Limits::default());
    let mut both = spec("public", "https", "none");
    both.bind = vec!["127.0.0.1:0".into(), "[::1]:0".into()];
    let addresses = front
        .open_door(both, &front.server.chain, &front.server.key, None)
        .expect("loopback has both families");
    for address in addresses {
        let mut client = Caller::new(&front.ca).call(address);
        let echo = get(&mut client, "/echo").json().to_string();
        let expected = format!(r#"["x-forwarded-for","{}"]"#, address.ip());
        assert!(echo.contains(&expected), "{echo}");
    }
}

#[test]
fn stopping_lets_a_running_request_finish_and_frees_the_ports() {
    let limits = Limits {
        stop: Duration::from_secs(10),
        ..Limits::default()
    };
    let front = Front::with_app(limits);
    let address = front.https();
    let ingest = front.ingest();
    let encoder = Caller::new(&front.ca)
        .presenting(front.ca.client("encoder"))
        .call(ingest);
    let (id, _) = front.opened();
    let mut client = Caller::new(&front.ca).call(address);
    client
        .write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is taken");
    wait_until("the request to run", || {
        front.counters().doors["public"].requests == 1
    });
    let reading = std::thread::spawn(move || {
        let answer = read_answer(&mut client);
        (answer, client.read(&mut [0; 4]).expect("a clean end"))
    });
    front.stop();
    let (answer, rest) = reading.join().expect("the reader");
    assert_eq!((answer.body.as_slice(), rest), (&b"firstsecond"[..], 0));
    assert_eq!(front.closed(id).0, "NODE.CLOSED_BY_NODE");
    drop(encoder);
    TcpListener::bind(address).expect("the port is free again");
    let error = front.open_door(spec("x", "https", "none"), b"", b"", None);
    assert_eq!(error.expect_err("stopped").code(), "FRONT.STOPPED");
    front.stop();
}
