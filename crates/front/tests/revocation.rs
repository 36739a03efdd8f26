//! Revocation at open doors: connections that are open end, the next handshake is refused.

mod kit;

use std::collections::HashSet;
use std::io::{Read, Write};

use boring::ssl::SslVersion;
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
