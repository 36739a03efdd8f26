//! Revocation at open doors: connections that are open end, the next handshake is refused.

mod kit;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use boring::ssl::SslVersion;
use bytes::Bytes;
use http_body_util::Full;
use kit::client::{get, Caller};
use kit::{spec, Front};
use sealcast_front::{CertificateId, Limits};

/// The id of an opened connection's certificate.
fn id_of(facts: &sealcast_tls::Facts) -> CertificateId {
    let peer = facts.peer.as_ref().expect("a certificate");
    peer.chain[0].parse().expect("an id")
}

#[test]
fn open_connections_of_a_revoked_certificate_end_and_others_stay() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let front = Front::with_app(Limits::default());
        let (secure, ingest) = (front.secure(), front.ingest());
        let revoked = Caller::new(&front.ca)
            .presenting(front.ca.client("encoder/lost"))
            .only(version);
        let kept = Caller::new(&front.ca)
            .presenting(front.ca.client("encoder/kept"))
            .only(version);
        let mut request = revoked.call(secure);
        assert_eq!(get(&mut request, "/echo").status, 200);
        let (on_https, facts) = front.opened();
        let mut stream = revoked.call(ingest);
        let (on_ingest, _) = front.opened();
        let mut other = kept.call(secure);
        assert_eq!(get(&mut other, "/echo").status, 200);
        let (on_other, other_facts) = front.opened();
        assert_ne!(id_of(&facts), id_of(&other_facts));

        assert_eq!(front.set_revoked(HashSet::from([id_of(&facts)])), 2);
        for (id, client) in [(on_https, &mut request), (on_ingest, &mut stream)] {
            assert_eq!(front.closed(id).0, "IDENTITY.REVOKED");
            // Its end is an end also for the client; a reset is one as well.
            assert!(matches!(client.read(&mut [0; 16]), Ok(0) | Err(_)));
        }
        assert_eq!(get(&mut other, "/echo").status, 200);
        assert!(front.facts(on_other).is_some());

        for (door, address) in [("secure", secure), ("ingest-ts", ingest)] {
            assert!(revoked.is_refused(address));
            assert_eq!(front.failed().0, "TLS.CERTIFICATE_REVOKED");
            assert_eq!(front.counted(door, "TLS.CERTIFICATE_REVOKED"), 1);
            assert_eq!(front.counted(door, "IDENTITY.REVOKED"), 1);
        }
        assert_eq!(front.set_revoked(HashSet::new()), 0);
        assert_eq!(get(&mut revoked.call(secure), "/echo").status, 200);
    }
}

#[test]
fn a_request_under_way_ends_with_its_connection() {
    let front = Front::with_app(Limits::default());
    let secure = front.secure();
    let mut client = Caller::new(&front.ca)
        .presenting(front.ca.client("admin/lost"))
        .call(secure);
    client
        .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is taken");
    let (id, facts) = front.opened();
    let mut first = [0; 1];
    client.read_exact(&mut first).expect("the answer begins");
    assert_eq!(front.set_revoked(HashSet::from([id_of(&facts)])), 1);
    assert_eq!(front.closed(id).0, "IDENTITY.REVOKED");
}

#[test]
fn every_request_under_way_on_a_connection_of_http2_ends_with_it() {
    const REQUESTS: u64 = 5;
    let front = Front::with_app(Limits::default());
    let secure = front.secure();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let lost = Caller::new(&front.ca)
        .presenting(front.ca.client("admin/lost"))
        .alpn(b"\x02h2");
    let sender = runtime.block_on(lost.call_h2(secure));
    let (id, facts) = front.opened();
    let requests: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let request = hyper::Request::get("https://localhost/hang")
                .body(Full::<Bytes>::default())
                .expect("a request");
            let mut sender = sender.clone();
            runtime.spawn(async move { sender.send_request(request).await.is_err() })
        })
        .collect();
    kit::wait_until("all are under way", || {
        front.counters().doors["secure"].requests == REQUESTS
    });
    assert_eq!(front.set_revoked(HashSet::from([id_of(&facts)])), 1);
    assert_eq!(front.closed(id).0, "IDENTITY.REVOKED");
    for request in requests {
        assert!(runtime.block_on(request).expect("no panic"), "it ended");
    }
    assert!(sender.is_closed());
}

/// Its handshakes look at the set while that changes: whatever they saw, in the end none is in.
#[test]
fn nobody_slips_in_while_a_revocation_is_taken_in() {
    const KNOCKS: usize = 200;
    let front = Front::with_app(Limits::default());
    let secure = front.secure();
    let lost = Caller::new(&front.ca).presenting(front.ca.client("encoder/lost"));
    assert_eq!(get(&mut lost.call(secure), "/echo").status, 200);
    let revoked = HashSet::from([id_of(&front.opened().1)]);
    let knocks = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while knocks.fetch_add(1, Ordering::Relaxed) < KNOCKS {
                    // Whoever was let in waits here until the next revocation ends it.
                    lost.is_refused(secure);
                }
            });
        }
        while knocks.load(Ordering::Relaxed) < KNOCKS {
            front.set_revoked(HashSet::new());
            front.set_revoked(revoked.clone());
        }
    });
    kit::wait_until("nobody is left", || {
        front.counters().doors["secure"].open == 0
    });
    assert!(front.counted("secure", "IDENTITY.REVOKED") > 0);
    assert!(front.counted("secure", "TLS.CERTIFICATE_REVOKED") > 0);
}

#[test]
fn a_revocation_outlives_a_swap_of_the_door() {
    let front = Front::with_app(Limits::default());
    let secure = front.secure();
    let lost = Caller::new(&front.ca).presenting(front.ca.client("admin/lost"));
    assert_eq!(get(&mut lost.call(secure), "/echo").status, 200);
    let (_, facts) = front.opened();
    front.set_revoked(HashSet::from([id_of(&facts)]));
    let renewed = front.ca.server("localhost");
    front
        .swap(
            "secure",
            &renewed.chain,
            &renewed.key,
            Some(&front.ca.root_pem()),
        )
        .expect("the pair fits");
    assert!(lost.is_refused(secure));
    assert_eq!(front.failed().0, "TLS.CERTIFICATE_REVOKED");
}

#[test]
fn a_door_that_only_asks_announces_those_who_showed_a_certificate() {
    let front = Front::with_app(Limits::default());
    let address = front.door(spec("public", "https", "optional"));
    assert_eq!(
        get(&mut Caller::new(&front.ca).call(address), "/echo").status,
        200
    );
    let known = Caller::new(&front.ca).presenting(front.ca.client("viewer/vera"));
    let mut client = known.call(address);
    assert_eq!(get(&mut client, "/echo").status, 200);
    let (_, facts) = front.opened();
    assert_eq!(
        facts.peer.as_ref().expect("a certificate").san_uris,
        ["spiffe://venue.example/viewer/vera"]
    );
}
